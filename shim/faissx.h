/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What libfaissx_c adds to FAISS's C API.  A program that only sets FAISSX_SERVER in
 * its environment needs none of this.
 *
 * Threads: every function may be called from any thread.
 */
#ifndef FAISSX_H
#define FAISSX_H

#ifdef __cplusplus
extern "C" {
#endif

/* Why the last faiss_* or faissx_* call of this thread failed. */
enum {
    FAISSX_OK = 0,
    FAISSX_E_FAISS,       /* FAISS itself failed */
    FAISSX_E_MISSING,     /* the real library lacks the function, or there is none */
    FAISSX_E_CONFIG,      /* an address or setting is invalid */
    FAISSX_E_CONNECT,     /* no connection to the server, or it broke */
    FAISSX_E_TIMEOUT,     /* the server did not answer in time */
    FAISSX_E_AUTH,        /* no or wrong API key */
    FAISSX_E_SESSION,     /* the server no longer knows this process: it was restarted */
    FAISSX_E_HANDLE,      /* no such object: freed, lost, or of another class */
    FAISSX_E_ENGINE,      /* the process that held this tenant's objects died */
    FAISSX_E_UNSUPPORTED, /* cannot be done remotely */
    FAISSX_E_ARGUMENT,    /* refused before FAISS saw it */
    FAISSX_E_LIMIT,       /* too large for the protocol or the server */
    FAISSX_E_PROTOCOL,    /* the two sides do not understand each other */
    FAISSX_E_MEMORY       /* out of memory in this process */
};

/*
 * Use a server from now on.  `server` is tcp://HOST:PORT or ipc://PATH, the same as in
 * FAISSX_SERVER; NULL or "" returns to the real library of this process.  `api_key`
 * and `tenant_id` may be NULL.  Objects that were made before stay where they are.
 * Connects at once.  Returns OK, or STD_EXCEPT (-4) with a text in faiss_get_last_error().
 */
int faissx_configure(const char *server, const char *api_key, const char *tenant_id);

/* One of FAISSX_*: why this thread's last failing call failed. */
int faissx_last_error_code(void);

/* 1 if the handle belongs to a server or to the shim, 0 if to the real library. */
int faissx_is_remote(const void *handle);

/* Version of this library, "0.1.0". */
const char *faissx_version(void);

#ifdef __cplusplus
}
#endif

#endif
