/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects of an engine: FAISS's, each with a handle that belongs to one session.
 *
 * This table, not FAISS, decides who frees what.  FAISS never frees an object that a client handed
 * to another one (a quantizer, a shard): own_fields stays 0 in FAISS, the table remembers what the
 * client set, and it frees the parts after the whole.  So a client may free a part too early, twice
 * or never, and no pointer dangles: an object that is still used is freed when it is not.
 *
 * The caller of every function here holds engine.lock, except for fxe_obj_destroy_list.
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
    struct fxe_obj
        *lender; /* created by, and owned by, that object: FAISS frees it with that one */
    struct fxe_obj **keeps; /* objects that FAISS's object holds pointers to */
    int nkeeps;
    int nkeepers;                /* how many objects and names hold this one */
    int calls;                   /* requests under way that use it */
    int named;                   /* of these: names that it is published under, */
    int naliases;                /* and second handles */
    struct fxe_session *creator; /* of an object of the tenant: has a handle to it, too */
    int alias;                   /* a second handle: keeps[0] is the object */
    int nborrowed;               /* objects that it has lent */
    int owns;                    /* frees its parts: own_fields, as the client set it */
    int inherent;                /* FAISS created its parts with it (factory, file, clone):
                                    FAISS itself frees them, and own_fields is FAISS's */
    int flat;                /* 0 not looked at, 1 an IndexFlat that coalesce.c can search, 2 not */
    int hollow;              /* made without the sub-index that its class needs */
    int odd;                 /* made with numbers that make no sense (description.h) */
    int own_shape;           /* shape is the object's, and freed with it */
    struct fxe_shape *shape; /* what it is made of; NULL: not looked at (guard.c) */
    int released;            /* its handle is gone; freed as soon as nothing uses it */
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

/* Returns a handle for FAISS's object `ptr`, the one that the session has if it has one; `lender`
 * and `inherent` as above.  NULL if memory is out. */
struct fxe_obj *fxe_obj_add(struct fxe_session *s, int cls, void *ptr, struct fxe_obj *lender,
                            int inherent);

/* fxe_obj_keep: from now on FAISS's `whole` has a pointer to `part`.  Returns -1 if memory is out.
 * fxe_obj_drop: it no longer has; the objects to destroy are put on *doomed.
 * fxe_obj_may_keep: false if FAISS would free `part` with `whole` although something else uses it.
 * fxe_obj_within: is `part` a part of `whole`, at any depth?  Making `whole` a part of it as well
 * would be a circle, in which FAISS never ends. */
int fxe_obj_within(const struct fxe_obj *part, const struct fxe_obj *whole);
int fxe_obj_may_keep(const struct fxe_obj *whole, const struct fxe_obj *part);
int fxe_obj_keep(struct fxe_obj *whole, struct fxe_obj *part);
void fxe_obj_drop(struct fxe_obj *whole, struct fxe_obj *part, struct fxe_obj **doomed);

/* A call begins to use the object, or no longer uses it. */
void fxe_obj_hold(struct fxe_obj *o);
void fxe_obj_let_go(struct fxe_obj *o, struct fxe_obj **doomed);

/* The client has freed its handle. */
void fxe_obj_release(struct fxe_obj *o, struct fxe_obj **doomed);

/* --- objects of the tenant: named.c --- */

/* The object gets one more name; with its parts it belongs to the tenant, not to a session. */
void fxe_obj_share(struct fxe_obj *o);
/* The object loses a name. */
void fxe_obj_unkeep_shared(struct fxe_obj *o, struct fxe_obj **doomed);
/* Returns another handle for `target`, of session s, or NULL if memory is out. */
struct fxe_obj *fxe_obj_alias(struct fxe_session *s, struct fxe_obj *target);
/* Is it part of another object? */
bool fxe_obj_is_part(const struct fxe_obj *o);
/* Does it belong to the tenant?  Then a client's free ends its own handle only. */
int fxe_obj_is_shared(const struct fxe_obj *o);
/* Its creator does not need it any more: it is freed when nothing else does. */
void fxe_obj_disown(struct fxe_obj *o, const struct fxe_session *creator, struct fxe_obj **doomed);

/* Ends the handles of class cls that `lender` lent. */
void fxe_obj_end_borrowed(struct fxe_obj *lender, int cls, struct fxe_obj **doomed);

/* Destroys the objects in FAISS.  The caller does not hold engine.lock: this can take long. */
void fxe_obj_destroy_list(struct fxe_obj *doomed);

/* Releases all objects of a session that has ended.  What others still use outlives it. */
void fxe_obj_release_all(struct fxe_session *s, struct fxe_obj **doomed);

size_t fxe_obj_count(void);

#endif
