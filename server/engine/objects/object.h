/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects of an engine: FAISS's, each with a handle that belongs to one session.
 *
 * FAISS's rules about who frees what are kept by this table, not by FAISS: an object
 * that a client handed to another (a quantizer, a shard) is never freed by FAISS, and
 * its own_fields flag in FAISS stays 0; the table remembers what the client asked for
 * and frees the parts after the whole.  So a part can be freed by the client too early,
 * twice or never, and nothing dangles: what is still used waits until it is not.
 *
 * Everything here needs engine.lock, but fxe_obj_destroy_list.
 */
#ifndef FXE_OBJECT_H
#define FXE_OBJECT_H

#include "server/engine/objects/session.h"

/* Objects that must not be used at the same time share a group: an index and the
 * indexes within it. */
struct fxe_group {
    int readers;
    bool writer;
    struct fxe_obj *members; /* list, through obj.next_in_group */
    struct fxe_req *waiting, *last_waiting;
};

struct fxe_obj {
    uint64_t id;
    void *ptr;
    int cls;
    struct fxe_session *session;
    struct fxe_group *group;
    struct fxe_obj *lender; /* it was born inside that one, which FAISS lets free it */
    struct fxe_obj **keeps; /* objects that FAISS's object holds pointers to */
    int nkeeps;
    int nkeepers;                /* how many objects and names keep this one */
    int calls;                   /* requests under way that use it */
    int named;                   /* of these: names that it is published under, */
    int naliases;                /* and second handles */
    struct fxe_session *creator; /* of an object of the tenant: has a handle to it, too */
    int alias;                   /* a second handle: keeps[0] is the object */
    int nborrowed;               /* objects that it has lent */
    int owns;                    /* frees its parts: own_fields, as the client set it */
    int inherent;                /* its parts were born inside it (factory, file, clone):
                                    FAISS itself frees them, and own_fields is FAISS's */
    int flat;                /* 0 not looked at, 1 an IndexFlat that coalesce.c can search, 2 not */
    int hollow;              /* made without the sub-index that its class follows */
    int odd;                 /* made with numbers that make no sense (description.h) */
    int own_shape;           /* shape is the object's, and freed with it */
    struct fxe_shape *shape; /* what it is made of; NULL: not looked at (guard.c) */
    int released;            /* nobody wants it; freed as soon as nothing uses it */
    struct fxe_obj *prev, *next; /* in the session */
    struct fxe_obj *next_in_group, *next_doomed;
    UT_hash_handle hh, hh_ptr;
};

/* The object with that id, if it belongs to the session and was not freed. */
struct fxe_obj *fxe_obj_find(struct fxe_session *s, uint64_t id);

/* The object that a handle stands for: another one if the handle is an alias. */
static inline struct fxe_obj *fxe_obj_target(struct fxe_obj *o)
{
    return o->alias ? o->keeps[0] : o;
}

/* Is it a `cls`?  Asks FAISS (dynamic_cast) where the table cannot know. */
int fxe_obj_is(struct fxe_obj *o, int cls);

/* A handle for FAISS's object `ptr`; `lender` and `inherent` as above.  An object that
 * has a handle keeps it.  NULL when memory is out. */
struct fxe_obj *fxe_obj_add(struct fxe_session *s, int cls, void *ptr, struct fxe_obj *lender,
                            int inherent);

/* `whole` holds a pointer to `part` from now on; or not any more (then the objects to
 * destroy are put on *doomed).  fxe_obj_may_keep tells beforehand whether that can be: not
 * when FAISS would free `part` with `whole` while something else uses it too, and not when
 * `whole` is within `part`, for FAISS would go round and round.
 * fxe_obj_keep returns -1 when memory is out. */
int fxe_obj_within(const struct fxe_obj *part, const struct fxe_obj *whole);
int fxe_obj_may_keep(const struct fxe_obj *whole, const struct fxe_obj *part);
int fxe_obj_keep(struct fxe_obj *whole, struct fxe_obj *part);
void fxe_obj_drop(struct fxe_obj *whole, struct fxe_obj *part, struct fxe_obj **doomed);

/* A call begins or ends to use it. */
void fxe_obj_hold(struct fxe_obj *o);
void fxe_obj_let_go(struct fxe_obj *o, struct fxe_obj **doomed);

/* Its handle is no more. */
void fxe_obj_release(struct fxe_obj *o, struct fxe_obj **doomed);

/* --- objects of the tenant: named.c --- */

/* The object, with its parts, belongs to no session any more, but to one more name. */
void fxe_obj_share(struct fxe_obj *o);
/* One name less. */
void fxe_obj_unkeep_shared(struct fxe_obj *o, struct fxe_obj **doomed);
/* Another handle for `target`, of session s.  NULL when memory is out. */
struct fxe_obj *fxe_obj_alias(struct fxe_session *s, struct fxe_obj *target);
/* Is it part of another object? */
bool fxe_obj_is_part(const struct fxe_obj *o);
/* Does it belong to the tenant?  Then a client's free ends its own handle only. */
int fxe_obj_is_shared(const struct fxe_obj *o);
/* Its creator does not need it any more: it is freed when nothing else does. */
void fxe_obj_disown(struct fxe_obj *o, const struct fxe_session *creator, struct fxe_obj **doomed);

/* End the handles that `lender` lent (of class cls). */
void fxe_obj_end_borrowed(struct fxe_obj *lender, int cls, struct fxe_obj **doomed);

/* Free them in FAISS; without engine.lock, for it can take long. */
void fxe_obj_destroy_list(struct fxe_obj *doomed);

/* Release all objects of a session that has ended. */
void fxe_obj_release_all(struct fxe_session *s, struct fxe_obj **doomed);

size_t fxe_obj_count(void);

#endif
