/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last error of each thread.
 *
 * A function of the shim returns 0, or -1 with the error set.  An error is one of FAISSX_* (what
 * went wrong), the FaissErrorCode that the program gets for it, and a text.  FaissErrorCode values
 * appear only where a function of the ABI returns: fx_abi_code() makes them.
 *
 * FAISS keeps the last exception of a thread, and the shim's errors join that series:
 * faiss_get_last_error() returns the newer of the two.
 *
 * Each thread owns its error and the text; every function here is about the calling thread's.
 */
#ifndef FX_ERROR_H
#define FX_ERROR_H

#include <stddef.h>

struct fx_error {
    int error;              /* FAISSX_* */
    int code;               /* FaissErrorCode */
    char *text;             /* NULL: none was set */
    const char *real_error; /* the real library's last error when this one was set */
};

/* Set the error; the text gets the prefix "faissx: ".  Both return -1.  fx_fail's code is
 * STD_EXCEPT. */
int fx_fail(int error, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int fx_fail_code(int error, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Set the error with a text that is complete, such as the server's. */
void fx_set_error(int error, int code, const char *text, size_t len);

/* Append to the text of the last error. */
void fx_error_append(const char *more);

/* FAISS names the file that it cannot read to its end; on a server it has the bytes only.  Puts the
 * name into the text of the last error, if it is that one. */
void fx_error_name_file(const char *name);

/* FAISSX_* of the last error that the shim set; FAISSX_OK if it has set none. */
int fx_error_kind(void);

/* How many errors the shim has set on this thread, without those of requests that worked in the
 * end: tells whether a call set one. */
unsigned fx_error_count(void);

/* A function of the ABI ends: what faissx_last_call() tells from now on. */
void fx_error_note_call(int failed);

/* What a function of the ABI returns: OK when `rc` is 0, else the code of the last error. */
int fx_abi_code(int rc);

/* Put the last error aside; put it back in place of any that came in between.  What was saved must
 * be restored: it owns the text. */
void fx_error_save(struct fx_error *e);
void fx_error_restore(struct fx_error *e);

/* faiss_get_last_error() in both modes. */
const char *fx_last_error(void);

#endif
