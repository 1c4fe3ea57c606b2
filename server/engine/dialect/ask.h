/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ask: one message of the dialect, from its map to its reply.
 *
 * Each action is a function that is called first when the message has been read (`done` is NULL)
 * and again each time a request that it has begun has ended without an error.  Each time it either
 * begins another request or replies:
 *
 *     fxd_begin(a, "index_search");
 *     fxd_int(a, "k", k);                         keys of the request
 *     fxd_frame(a, "x", data, size);              its arrays
 *
 *     fxd_ok(a, 2);                               the reply has 2 keys beside the common ones
 *     fxd_put_int(a, "k", k); ...
 *
 *     fxd_error(a, NULL, "Index %s does not exist", a->name);
 *
 * When it is called with `done`, that request's locks are held, and done->obj[0] is its index.
 * A request that ends with an error becomes an error of the dialect, unless a->tolerant is set.
 *
 * One thread at a time handles an ask, as its requests.
 */
#ifndef FXD_ASK_H
#define FXD_ASK_H

#include "server/engine/dialect/dialect.h"
#include "server/engine/dialect/read.h"

enum { FXD_NAME_MAX = 200 };

typedef void fxd_action(struct fxd_ask *a, struct fxe_req *done);

/* What is known of an index. */
struct fxd_facts {
    bool binary, idmap, idmap2, ivf;
    bool trains;    /* it, or what is in it, needs training */
    char type[48];  /* FAISS's class */
    char inner[48]; /* of what is in an IDMap; else "" */
    int64_t d, ntotal, metric;
    bool trained;
    bool waits;     /* it holds vectors, and is searched exactly, until it is trained */
    bool asked;     /* for a request that trains it: no number of vectors does */
    int64_t enough; /* vectors for that */
};

struct fxd_ask {
    struct fxd_map map;
    size_t kept; /* bytes of the map's arrays, counted by fxe_kept_add */
    struct fxe_conn *conn;
    fxd_action *action;
    int state;
    bool tolerant;               /* an error of the request that was begun goes to the action */
    const char *absent;          /* what an index that is not there is called: "does not exist" */
    char name[FXD_NAME_MAX + 1]; /* index_id */
    struct fxd_facts facts;

    /* of the actions */
    int64_t k, n, at, total;
    double radius;
    char text[512];
    int64_t counts[64]; /* merge_indices: vectors of each source */
    msgpack_sbuffer list;

    /* the next request */
    bool begun;
    struct fxe_msg *msg;
    msgpack_sbuffer header;
    uint32_t keys;

    bool replied;
    bool broken; /* there was no memory for all of the reply, or of a request */
    msgpack_sbuffer reply;
};

/* --- the next request --- */

void fxd_begin(struct fxd_ask *a, const char *operation);
/* The same with the key `name`: the index of the message. */
void fxd_begin_named(struct fxd_ask *a, const char *operation);
void fxd_int(struct fxd_ask *a, const char *key, int64_t v);
void fxd_str(struct fxd_ask *a, const char *key, const char *s);
void fxd_true(struct fxd_ask *a, const char *key);
msgpack_packer fxd_key(struct fxd_ask *a, const char *key);
/* An array of the request, which takes `data`, allocated by malloc. */
void fxd_frame(struct fxd_ask *a, const char *key, void *data, size_t size);

/* --- the message --- */

const msgpack_object *fxd_get(const struct fxd_ask *a, const char *key);
/* Each returns 0, or -1 with the reply set.  A missing key has the value `dflt`. */
int fxd_get_int(struct fxd_ask *a, const char *key, int64_t dflt, int64_t *out);
int fxd_get_name(struct fxd_ask *a);
/* The rows of a list, which must be there and can be read; `error` goes before the reason. */
struct fx_rows *fxd_rows_of(struct fxd_ask *a, enum fxd_list which, const char *error);
/* The rows become the array `x` of the next request, and their number `n`.  Of a binary index they
 * become bits. */
void fxd_give_rows(struct fxd_ask *a, struct fx_rows *rows, bool binary);

/* Looks up an index.  Returns 0; 1 if all but its name, d and whether it is binary is not known,
 * because it is only on disk or is being changed; -1 if there is none. */
int fxd_look(const char *name, struct fxd_facts *f);
/* The same of an index whose lock the request that has ended holds. */
int fxd_look_own(const char *name, struct fxd_facts *f);
/* The same of an index that the caller has locked. */
void fxd_facts_of(const struct fxe_obj *o, struct fxd_facts *f);
/* Looks up the index of the message.  Returns 0; -1 with the reply set if there is none. */
int fxd_index(struct fxd_ask *a);

/* Begins index_info, in this state, if the index of the message has to be in memory to be known. */
enum { FXD_LOOKING = 1 };
bool fxd_must_look(struct fxd_ask *a);
/* Are the rows as long as the index's vectors?  Returns 0, or -1 with the reply set. */
int fxd_check_d(struct fxd_ask *a, const struct fx_rows *rows);
/* The ids of the message become the caller's. */
int64_t *fxd_take_ids(struct fxd_ask *a);

/* --- the reply --- */

/* The most bytes of a reply. */
double fxd_reply_max(void);
/* Makes room for a reply of at most so many bytes, which counts against the tenant's memory.
 * Returns 0, or -1 with the reply set. */
int fxd_reserve(struct fxd_ask *a, double bytes);
/* Returns array i of the request's reply if it has this size.  Otherwise the index has become
 * another one since the action looked at it: NULL with the reply set. */
void *fxd_out(struct fxd_ask *a, const struct fxe_req *done, int i, size_t n, size_t each);
/* Begins a reply with success and `keys` more keys, which follow. */
void fxd_ok(struct fxd_ask *a, uint32_t keys);
msgpack_packer fxd_put(struct fxd_ask *a, const char *key);
void fxd_put_int(struct fxd_ask *a, const char *key, int64_t v);
void fxd_put_bool(struct fxd_ask *a, const char *key, bool v);
void fxd_put_text(struct fxd_ask *a, const char *key, const char *s);
/* Lists of numbers, without a key. */
void fxd_floats(struct fxd_ask *a, const float *x, size_t n);
void fxd_ids(struct fxd_ask *a, const int64_t *ids, size_t n);
/* The key `message`. */
__attribute__((format(printf, 2, 3))) void fxd_put_message(struct fxd_ask *a, const char *format,
                                                           ...);
/* The reply is an error; `code` is its error_code, or NULL.  Returns -1. */
__attribute__((format(printf, 3, 4))) int fxd_error(struct fxd_ask *a, const char *code,
                                                    const char *format, ...);
/* The same with the text of a request that has failed, after `before`. */
int fxd_failed(struct fxd_ask *a, const struct fxe_req *done, const char *code, const char *before);

/* --- the actions, by file --- */

struct fxd_entry {
    const char *name;
    fxd_action *action;
};
extern const struct fxd_entry fxd_manage[], fxd_vectors[], fxd_stored[], fxd_searches[],
    fxd_special[];

/* May it be searched?  One that waits for its training is like one that is not trained while it has
 * no vectors. */
static inline bool fxd_is_ready(const struct fxd_facts *f)
{
    return f->trained || (f->waits && f->ntotal > 0);
}

/* Has the message no keys but these, which end with NULL, and those that all messages have?
 * Otherwise the reply is set. */
bool fxd_only_has(struct fxd_ask *a, const char *function, const char *const *keys);
bool fxd_one_of(const msgpack_object *key, const char *const *names);

void fxd_search(struct fxd_ask *a, struct fxe_req *done);
void fxd_create_index(struct fxd_ask *a, struct fxe_req *done);
void fxd_merge_indices(struct fxd_ask *a, struct fxe_req *done);

#endif
