/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What libfaissx_c adds to FAISS's C API: choosing a server from within the program, and the reason
 * why a call failed.  A program that only sets FAISSX_SERVER in its environment needs none of this.
 * docs/remote.md lists everything in which a call on a server differs from a call in process.
 *
 * Threads: every function may be called from any thread at any time.  Errors are kept for each
 * thread.  No function takes ownership of an argument or returns memory that has to be freed.
 */
#ifndef FAISSX_H
#define FAISSX_H

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Why a call failed.  The same FaissErrorCode can have several reasons; faiss_get_last_error() has
 * the text.  Values are never changed, and new ones are added at the end.
 */
enum {
    FAISSX_OK = 0,        /* no call of this thread has failed */
    FAISSX_E_FAISS,       /* FAISS refused the call, or a file could not be read or written */
    FAISSX_E_MISSING,     /* the FAISS in use lacks the function, or no FAISS was found */
    FAISSX_E_CONFIG,      /* the server's address or a FAISSX_* setting is invalid */
    FAISSX_E_CONNECT,     /* the server cannot be reached, is stopping, or the connection broke */
    FAISSX_E_TIMEOUT,     /* no answer within FAISSX_TIMEOUT or the server's --call-limit */
    FAISSX_E_AUTH,        /* the API key is missing or wrong, or belongs to another tenant */
    FAISSX_E_SESSION,     /* the objects are gone: the server was restarted, or the program ends */
    FAISSX_E_HANDLE,      /* the object was freed, or is of another class; no index has this name */
    FAISSX_E_ENGINE,      /* the process that held the tenant's objects crashed, or cannot start */
    FAISSX_E_UNSUPPORTED, /* the function cannot work remotely */
    FAISSX_E_ARGUMENT,    /* an argument was refused before FAISS was called */
    FAISSX_E_LIMIT,       /* too large for the protocol, or for the server's memory at present */
    FAISSX_E_PROTOCOL,    /* the peer is not a FAISSx server of a compatible version */
    FAISSX_E_MEMORY       /* this process is out of memory */
};

/*
 * Use another server, or none, for objects that are created from now on.
 *
 *     server     tcp://HOST:PORT or ipc://PATH, as in FAISSX_SERVER; NULL or "": create objects in
 *                this process, with the local libfaiss_c
 *     api_key    the API key, or NULL if the server requires none
 *     tenant_id  the tenant, which must be the key's; NULL: that of the key
 *
 * Overrides FAISSX_SERVER, FAISSX_API_KEY and FAISSX_TENANT_ID, and reads the other FAISSX_*
 * variables again.  The strings are copied.  Connects before it returns, which takes at most
 * FAISSX_CONNECT_TIMEOUT, 5 seconds by default.  Local objects stay usable.  Objects on a server
 * stay usable if `server` names the same one again, and become invalid otherwise.
 *
 * Returns 0, or -4 with the reason in faiss_get_last_error() and faissx_last_error_code().  If the
 * server cannot be reached, it is configured all the same, and later calls try again.
 */
int faissx_configure(const char *server, const char *api_key, const char *tenant_id);

/*
 * Returns the reason for the last failure of a faiss_* or faissx_* call on this thread, one of
 * FAISSX_*.  Like faiss_get_last_error(), it is not reset by calls that succeed.
 */
int faissx_last_error_code(void);

/*
 * Returns FAISSX_OK if the last faiss_* call of this thread worked, and otherwise why it failed;
 * the text is in faiss_get_last_error().  Made for functions that return no error code: what they
 * return after a failure, such as 0, may also be a result.  Ask before the thread's next call.
 *
 * Calls of faiss_*_free and faiss_get_last_error do not count, and neither do faissx_* functions.
 * As long as the process has never used a server, FAISS is called directly and every call counts
 * as one that worked.
 */
int faissx_last_call(void);

/*
 * Returns 1 if the handle belongs to a server or to this library (selectors, search parameters and
 * range search results that were created while a server was configured), and 0 if it belongs to the
 * local libfaiss_c or is NULL.  Does not check that the object still exists.
 */
int faissx_is_remote(const void *handle);

/*
 * Writes the four letters to `fourcc` with which faiss_write_index or faiss_write_index_binary
 * would begin the file of an index, such as "IxF2" of an IndexFlatL2: they name its class.  Only
 * they are sent by the server, however large the index is.  `index` is an index or binary index on
 * a server.
 *
 * Returns 0, or a negative FaissErrorCode; FAISSX_E_FAISS if FAISS cannot write such an index,
 * FAISSX_E_MISSING if the server is too old.
 */
int faissx_index_fourcc(const void *index, char fourcc[4]);

/*
 * What happens to the connection of a thread.  A call whose connection breaks reconnects by itself
 * (FAISSX_RETRIES), and the program need not do anything: these events are for logs and statistics.
 */
enum {
    FAISSX_EVENT_DISCONNECTED = 1, /* the connection broke; the text says why */
    FAISSX_EVENT_RECONNECTED,      /* connected again, to the same session: no object is lost */
    FAISSX_EVENT_SESSION_LOST      /* connected again, but the engine was restarted, or the session
                                      has ended: the text says why, and how many objects are gone */
};

/*
 * Have `f` called at each event, with `user`; NULL: no function is called any more.  There is one
 * function for the process, and the last one set counts.
 *
 * It is called by the thread whose connection it is, within the faiss_* call that has noticed, with
 * no lock held; by several threads at the same time if several have connections.  It must not call
 * faiss_* or faissx_* functions.  `text` is valid until it returns.  After
 * FAISSX_EVENT_DISCONNECTED a thread tells nothing until it is connected again.
 */
void faissx_on_event(void (*f)(int event, const char *text, void *user), void *user);

/* Returns the version of this library, such as "0.1.0": a string constant. */
const char *faissx_version(void);

#ifdef __cplusplus
}
#endif

#endif
