/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Catching C++ exceptions in C.
 *
 * Some functions of FAISS's C API let exceptions out.  Through C frames with no handler
 * anywhere that ends the process.  fxe_catch has a frame that is a handler for every
 * exception: a function of its own in assembly, and a personality routine that says so to
 * the unwinder (Itanium C++ ABI, Exception Handling, level I and II), so destructors run
 * as they would for a C++ caller.
 *
 * It cannot catch what FAISS throws inside an OpenMP region: the region itself ends the
 * process.  Such calls must not be made (check.c).
 */
#ifndef FXE_CATCH_H
#define FXE_CATCH_H

#include <stddef.h>

/* Calls f(arg).  Returns 0; or, if it threw, the FaissErrorCode that FAISS's own C API would have
 * returned (FAISS_EXCEPT for a FaissException, STD_EXCEPT for another std::exception,
 * UNKNOWN_EXCEPT for anything else), and what() in `text`. */
int fxe_catch(void (*f)(void *), void *arg, char *text, size_t len);

/* The mangled name of a polymorphic object's class. */
const char *fxe_class_name(const void *object);

/* Has the library classes?  The recording one of the tests has not. */
int fxe_has_classes(void);

/* Find the C++ runtime that the library `dl` uses. */
void fxe_catch_init(void *dl);

#endif
