/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits shared by the generator, the client and the server.  If the table outgrows one, raise it
 * here; the assertions below show what else has to grow with it.
 */
#ifndef FX_LIMITS_H
#define FX_LIMITS_H

#include <stdint.h>

#ifndef FAISSX_VERSION
#define FAISSX_VERSION "0.1.0" /* for editors and analysers; the Makefile defines it */
#endif

enum {
    /* The table of functions. */
    FX_FNS_MAX = 1024,    /* operation numbers, including 0, which is not used */
    FX_CLASSES_MAX = 128, /* classes */
    FX_NAME_MAX = 100,    /* characters of a function's name */
    FX_PARAMS_MAX = 12,   /* parameters of a function */
    FX_SIZE_WORDS = 32,   /* words of a size program, including its end */
    FX_SIZE_DEPTH = 8,    /* stack of a size program, in numbers */

    /* Messages. */
    FX_HEADER_MAX = 64 << 10, /* bytes of a header */
    FX_HEADER_DEPTH = 16,     /* nesting of a header, for selectors within selectors */
    FX_FRAME_MAX = 8 << 20,   /* bytes of one payload frame; larger arrays go in pieces */
    FX_PIECE = 4 << 20,       /* bytes of one piece of a large array */
    FX_FRAMES_MAX = 16,       /* frames of a message, including the header */
    FX_OBJECTS_MAX = 32,      /* objects of one call */
    FX_TOKEN_SIZE = 16,       /* bytes of a session's token */
    FX_TENANT_MAX = 128,      /* bytes of a tenant's name */
    FX_VERSION_SIZE = 64,     /* bytes of FAISS's version, with NUL */
    FX_NEAR_SIZE = 128,       /* bytes of the endpoint for clients on the server's host, with NUL */
    FX_PREVIOUS_SIZE = 128    /* bytes of the text that says how an engine ended, with NUL */
};

_Static_assert(FX_PARAMS_MAX <= INT8_MAX, "fx_fn and fx_param hold parameters' numbers in int8_t");
_Static_assert(FX_CLASSES_MAX <= 255, "class numbers are uint8_t, and 255 is FX_NO_CLASS");
_Static_assert(FX_FNS_MAX <= INT16_MAX, "fx_class holds operation numbers in int16_t");
_Static_assert(FX_PARAMS_MAX + 2 <= FX_FRAMES_MAX,
               "a reply may have a header, an array for each parameter and what is returned");
_Static_assert(FX_PARAMS_MAX <= FX_OBJECTS_MAX, "each parameter may be an object");
_Static_assert(FX_PIECE <= FX_FRAME_MAX, "a piece is one frame");

#endif
