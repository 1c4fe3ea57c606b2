/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine's FAISS objects.  Each has a handle, which belongs to one session.
 *
 * This table, not FAISS, decides when an object is freed.  FAISS never frees a part that the client
 * passed in (a quantizer, a shard): own_fields stays 0 in FAISS, and the table remembers the value
 * that the client set and frees the parts after the whole.  So no pointer dangles even if a client
 * frees a part too early, twice or never: an object in use is freed after its last use.
 *
 * The caller of every function here holds engine.lock, except for fxe_obj_destroy_list and
 * fxe_obj_free_faiss.
 */
#ifndef FXE_OBJECT_H
#define FXE_OBJECT_H

#include "server/engine/objects/session.h"

/* Objects that share one lock: an index and the indexes within it. */
struct fxe_group {
    uint64_t serial; /* its place in the order in which groups are locked */
    int readers;
    bool writer;
    struct fxe_obj *members; /* list, through obj.next_in_group */
    int nkept;               /* members that the store keeps */
    struct fxe_req *waiting, *last_waiting;
    struct fxe_req *raising; /* a reader that is to be the next writer (lock.h), or NULL */
};

/* Calls about an index since it was made or read; each is atomic. */
struct fxe_obj_counts {
    uint64_t calls, errors, searches, queries, added;
};

struct fxe_obj {
    uint64_t id;
    void *ptr; /* FAISS's object; NULL while it is on disk only (keep.h) */
    int cls;
    struct fxe_session *session;
    struct fxe_group *group;
    struct fxe_obj *lender; /* owns this object: FAISS frees both together */
    struct fxe_obj **keeps; /* objects that this one has pointers to, in FAISS */
    int nkeeps;
    int nkeepers;                  /* objects, names and second handles that hold this one */
    int calls;                     /* requests that are using it */
    int named;                     /* of nkeepers: names that it is published under, */
    int naliases;                  /* and second handles */
    struct fxe_session *creator;   /* of a tenant's object: the session with the first handle */
    int alias;                     /* a second handle: keeps[0] is the object */
    int nborrowed;                 /* number of objects whose lender it is */
    int owns;                      /* own_fields as the client set it: frees its parts */
    int inherent;                  /* FAISS created its parts (factory, file, clone) and frees them;
                                      own_fields is FAISS's own */
    int flat;                      /* can coalesce.c search it?  0: not known, 1: yes, 2: no */
    int separable;                 /* can share.c divide a call?  The same values */
    int query_ns;                  /* how long a query took last in such a call, or 0 */
    int hollow;                    /* created without the sub-index that its class needs */
    int proven;                    /* bits of acts that have worked (guard/doubt.c); atomic */
    int odd;                       /* made (description.h) or trained with nonsensical numbers */
    int planned;                   /* it has waited for its training, and has had it */
    int own_shape;                 /* shape belongs to this object and is freed with it */
    struct fxe_shape *shape;       /* classes that it consists of (guard.c); NULL: not known */
    struct fxe_kept *kept;         /* what the store has of it, or NULL */
    struct fxe_training *training; /* it waits for its training (training/training.h); or NULL */
    struct fxe_content *content;   /* what it was read from, if it is shared (shared.h); or NULL */
    int mapped;                    /* FAISS's object is in a mapped file: it must not be changed,
                                      cloned or lent (keep/mapped.c) */
    struct fxe_obj_counts counts;
    char *stored_as;             /* this handle's name in the store (unnamed.h), or NULL */
    int accessor;                /* of a part that was restored: returns it for its lender; or 0 */
    int ended;                   /* FAISS has freed it with its lender: only requests hold it */
    uint64_t walk;               /* the last one in which fxe_obj_within has seen it */
    int released;                /* its handle has ended: freed as soon as nothing uses it */
    struct fxe_obj *prev, *next; /* in the session */
    struct fxe_obj *next_in_group;
    struct fxe_obj *prev_doomed, *next_doomed; /* in a list of objects to destroy */
    UT_hash_handle hh, hh_ptr;
};

/* Returns the object with this id, or NULL if it was freed, or belongs neither to the session nor
 * to the tenant. */
struct fxe_obj *fxe_obj_find(struct fxe_session *s, uint64_t id);

/* Returns the object that a handle stands for: `o` itself, or its target if it is an alias. */
static inline struct fxe_obj *fxe_obj_target(struct fxe_obj *o)
{
    return o->alias ? o->keeps[0] : o;
}

/* Is it a `cls`?  Asks FAISS (dynamic_cast) if the table does not know. */
int fxe_obj_is(struct fxe_obj *o, int cls);

/* Returns the session's handle for FAISS's object `ptr`, and creates it if there is none; `lender`
 * and `inherent` as above.  Returns NULL if memory is out. */
struct fxe_obj *fxe_obj_add(struct fxe_session *s, int cls, void *ptr, struct fxe_obj *lender,
                            int inherent);

/* fxe_obj_keep: `whole` has gained a pointer to `part`.  Returns -1 if memory is out.
 * fxe_obj_drop: it has lost the pointer; puts the objects to destroy on *doomed.
 * fxe_obj_may_keep: false if FAISS would free `part` with `whole` although something else uses it.
 * fxe_obj_within: is `part` equal to `whole`, or a part of it at any depth?  Making `whole` a part
 * of `part` would then close a cycle, in which FAISS never returns. */
int fxe_obj_within(const struct fxe_obj *part, struct fxe_obj *whole);
int fxe_obj_may_keep(const struct fxe_obj *whole, const struct fxe_obj *part);
int fxe_obj_keep(struct fxe_obj *whole, struct fxe_obj *part);
void fxe_obj_drop(struct fxe_obj *whole, struct fxe_obj *part, struct fxe_obj **doomed);

/* A call begins to use the object, or no longer uses it. */
void fxe_obj_hold(struct fxe_obj *o);
void fxe_obj_let_go(struct fxe_obj *o, struct fxe_obj **doomed);

/* The client has freed its handle. */
void fxe_obj_release(struct fxe_obj *o, struct fxe_obj **doomed);

/* --- objects of the tenant: named.c --- */

/* Adds a name.  The object and its parts now belong to the tenant, not to a session. */
void fxe_obj_share(struct fxe_obj *o);
/* Removes a name. */
void fxe_obj_unkeep_shared(struct fxe_obj *o, struct fxe_obj **doomed);
/* Returns a new handle of session s for `target`, or NULL if memory is out. */
struct fxe_obj *fxe_obj_alias(struct fxe_session *s, struct fxe_obj *target);
/* The same with a lock of its own, for a target that nobody changes. */
struct fxe_obj *fxe_obj_alias_apart(struct fxe_session *s, struct fxe_obj *target);
/* Such a handle becomes an object of its own, which has `ptr`; or, if that is NULL, what its target
 * has had, which nobody else may use.  The caller has locked the handle for writing. */
void fxe_obj_set_apart(struct fxe_obj *o, void *ptr, struct fxe_obj **doomed);
/* Returns a new object without an object of FAISS yet; or NULL if memory is out, or if there is an
 * object with this id.  s: NULL: of the tenant, without a name.  id: 0: a new one. */
struct fxe_obj *fxe_obj_add_absent(struct fxe_session *s, int cls, uint64_t id);
/* The object, which is absent and new, is a part of `lender`, which FAISS frees with it. */
void fxe_obj_lend(struct fxe_obj *lender, struct fxe_obj *o);
/* Gives a new handle the id that it had before. */
void fxe_obj_renumber(struct fxe_obj *o, uint64_t id);
/* This is FAISS's object from now on. */
void fxe_obj_point(struct fxe_obj *o, void *ptr);
/* FAISS's object is another one from now on, or NULL: none.  Handles of what the old one had lent
 * end, and nothing is kept for it any more.  Returns the old one, for fxe_obj_free_temporary. */
struct fxe_obj fxe_obj_replace(struct fxe_obj *o, void *ptr, struct fxe_obj **doomed);
/* That object is of another class than the one before: what its handles are is asked again. */
void fxe_obj_forget_class(struct fxe_obj *o);
/* Does another object of FAISS contain it, or a part of it? */
bool fxe_obj_is_within_others(const struct fxe_obj *o);
/* Is it part of another object? */
bool fxe_obj_is_part(const struct fxe_obj *o);
/* Does it belong to the tenant?  If so, freeing it ends only that client's handle. */
int fxe_obj_is_shared(const struct fxe_obj *o);
/* `creator` no longer needs the object: frees it as soon as nothing else does. */
void fxe_obj_disown(struct fxe_obj *o, const struct fxe_session *creator, struct fxe_obj **doomed);

/* Ends the handles of class cls that `lender` has lent. */
void fxe_obj_end_borrowed(struct fxe_obj *lender, int cls, struct fxe_obj **doomed);

/* Frees the objects on the list with FAISS.  This can take long, so the caller must not hold
 * engine.lock. */
void fxe_obj_destroy_list(struct fxe_obj *doomed);

/* Frees an object of FAISS that is in no table.  The caller does not hold engine.lock. */
void fxe_obj_free_faiss(int cls, void *ptr);
/* Frees FAISS's object, if any, of one that is on the stack, unless that would end the process, and
 * what is known of it.  The caller holds no lock of the engine's. */
void fxe_obj_free_temporary(struct fxe_obj *o);

/* Releases all objects of a session that has ended.  Those that others use pass to the tenant. */
void fxe_obj_release_all(struct fxe_session *s, struct fxe_obj **doomed);

size_t fxe_obj_count(void);

#endif
