/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects of the server in requests and replies: from the program's handle to the server's id, and
 * back.  Any thread.
 */
#ifndef FX_HANDLE_H
#define FX_HANDLE_H

#include <msgpack.h>

#include "shim/object.h"

struct fx_rpc;

/* The object of class `cls` behind `handle`, to be named in a request; fx_object_ready() says
 * whether it can be.  It is held until fx_obj_release().  NULL with the error set, in the name of
 * `function`, if there is none. */
struct fx_obj *fx_server_object(const void *handle, int cls, const char *function);

/* The object of `handle` is used in the name of `function`, as its parameter `what`.  If its
 * session is gone, an index that was opened by its name is opened again.  Returns 0 if it belongs
 * to the present session; or -1 with the error set, which says what is gone and why.  `running`:
 * the function's request had been sent when the session was lost. */
int fx_object_ready(struct fx_obj *o, const char *what, const char *function, int running);

/* The handle for what a reply says of an object: its id, or [id, d, metric type].  NULL when it
 * names none or, with the error set, when there is no memory for a handle. */
void *fx_take_handle(const msgpack_object *o, int cls, struct fx_obj *lender, const char *function);

/* The handle for the one object that a reply names.  Returns 0, or -1 with the error set; *p_out is
 * written only when there is a handle. */
int fx_take_out_handle(struct fx_rpc *r, int cls, void **p_out, const char *function);

#endif
