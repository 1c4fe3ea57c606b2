/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an engine's connection needs of uploads (server/engine/objects/upload.h) and memory
 * (server/engine/guard/room.h): inputs are too small for a piece that has a place.
 */
#ifndef NO_UPLOADS_H
#define NO_UPLOADS_H

#include <stdlib.h>

#include "server/engine/guard/room.h"
#include "server/engine/objects/upload.h"

struct fxe_place *fxe_place_find(struct fxe_conn *c, const struct fx_buffer *header, size_t n,
                                 void **to)
{
    (void)c, (void)header, (void)n, (void)to;
    return NULL;
}

void fxe_place_free(struct fxe_place *p)
{
    (void)p;
}

void *fxe_room_realloc(void *old, size_t size)
{
    return realloc(old, size);
}

#endif
