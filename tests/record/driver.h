/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver calls every function of the table through a library that it is given
 * and prints what came back.  driver.c: order of things.  call.c: one call, and the
 * objects that are known.  args.c: arguments from the table.  scene.c: functions
 * that only make sense one after the other.  One thread; nothing is freed twice.
 */
#ifndef FX_TEST_DRIVER_H
#define FX_TEST_DRIVER_H

#include "text.h"

struct handle {
    struct handle *next; /* latest first */
    void *p;
    int cls;
    int number;
    int op;                /* that made it */
    struct handle *parent; /* of a borrowed one */
    int keeps;             /* keeps pointers to others: they are freed later */
};

extern struct fx_api api;
extern int called[FX_NOPS];
extern int remote; /* leave out what does not work in remote mode */

/* In place of a pointer: call() provides a buffer for output, or contents for input. */
extern char auto_room;
#define AUTO            \
    {                   \
        .p = &auto_room \
    }
#define I(x)     \
    {            \
        .i = (x) \
    }
#define F(x)     \
    {            \
        .f = (x) \
    }
#define P(x)                        \
    {                               \
        .p = (void *)(uintptr_t)(x) \
    }

/* Call and print.  v has room for the result, which is also returned. */
union fx_val call(int op, union fx_val *v);
#define CALL(name, ...) call(FX_OP_##name, (union fx_val[FX_PARAMS_MAX + 1]){__VA_ARGS__})

/* What the last call wrote to its n-th AUTO parameter. */
void *written(int param);
/* The object that the last call created, if any. */
void *made(void);

struct handle *known(const void *p);
void forget(const void *p);
void free_object(struct handle *h);
void free_all(void);
void print_last_error(void);
void call_cleanup(void);

/* Arguments of `op` by the table; variants differ in sizes and numbers.  Returns 0
 * when there is no object for a parameter that needs one. */
int arguments(int op, int variant, union fx_val *v);

/* A new object of this class, or one that all calls share: the first, or another. */
void *fresh(int cls);
void *shared(int cls, int which);
void reuse_objects(void); /* from now on fresh() is shared() */

/* Functions that scenes() calls. */
int in_scene(int op);
void scenes(void);

size_t give_bytes(void *p, size_t size, size_t n);
size_t take_bytes(const void *p, size_t size, size_t n);

#endif
