/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Catching C++ exceptions in C.
 *
 * Some functions of FAISS's C API let exceptions escape.  If no frame handles an exception, it ends
 * the process.  fxe_catch calls through a frame that handles every exception: a function in
 * assembly, and a personality routine that tells the unwinder so (Itanium C++ ABI, Exception
 * Handling, levels I and II).  Destructors run as they would for a C++ caller.
 *
 * An exception inside an OpenMP region reaches this frame only if region.h passes it on, and the
 * compiler has not made the region end the process.  Calls that would do so must not be made
 * (check.c, guard.c).
 */
#ifndef FXE_CATCH_H
#define FXE_CATCH_H

#include <stddef.h>

/* Calls f(arg).  Returns 0, or, if f threw, the FaissErrorCode that FAISS's own C API would have
 * returned (FAISS_EXCEPT for a FaissException, STD_EXCEPT for another std::exception,
 * UNKNOWN_EXCEPT for anything else), with what() in `text`, of `len` bytes. */
int fxe_catch(void (*f)(void *), void *arg, char *text, size_t len);

/* Calls f(arg).  Returns 0, or 1 with *exception set to what f threw (a struct _Unwind_Exception),
 * which is then neither caught nor freed. */
int fxe_guard(void (*f)(void *), void *arg, void **exception);

/* Returns the mangled class name of a polymorphic object; "" if the library has no classes. */
const char *fxe_class_name(const void *object);

/* Returns whether the library has C++ classes.  The tests' recording library has none. */
int fxe_has_classes(void);

/* Finds the C++ runtime that the library `dl` uses. */
void fxe_catch_init(void *dl);

#endif
