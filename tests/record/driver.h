/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver calls every function of the table through a given library and prints the
 * results.  driver.c: the order of the calls.  call.c: one call, and the known objects.
 * args.c: arguments from the table.  scene.c: functions that make sense only in sequence.
 * There is one thread, and nothing is freed twice.
 */
#ifndef FX_TEST_DRIVER_H
#define FX_TEST_DRIVER_H

#include "text.h"

struct handle {
    struct handle *next; /* latest first */
    void *p;
    int cls;
    int number;
    int op;                /* operation that made it */
    struct handle *parent; /* of a borrowed object, or NULL */
    int keeps;             /* keeps pointers to others, which are freed later */
};

extern struct fx_api api;
extern int called[FX_NOPS];
extern int remote; /* leave out what does not work in remote mode */

/* Instead of a pointer: call() provides a buffer for output, or contents for input. */
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

/* Makes a call and prints it.  `v` has room for the result, which is also returned. */
union fx_val call(int op, union fx_val *v);
#define CALL(name, ...) call(FX_OP_##name, (union fx_val[FX_PARAMS_MAX + 1]){__VA_ARGS__})

/* Returns the buffer that the last call used for AUTO in parameter `param`. */
void *written(int param);
/* Returns the object that the last call created, or NULL. */
void *made(void);

struct handle *known(const void *p);
void forget(const void *p);
void free_object(struct handle *h);
void free_all(void);
void print_last_error(void);
void call_cleanup(void);

/* Sets `v` to arguments for `op` from the table; variants differ in sizes and numbers.  Returns 0
 * if there is no object for a parameter that needs one. */
int arguments(int op, int variant, union fx_val *v);

/* fresh: returns a new object of the class.  shared: returns one that all calls share, the first
 * (0) or another (1).  NULL if none can be made. */
void *fresh(int cls);
void *shared(int cls, int which);
void reuse_objects(void); /* from now on fresh(cls) is shared(cls, 0) */

/* Returns whether scenes() calls the function. */
int in_scene(int op);
void scenes(void);

size_t give_bytes(void *p, size_t size, size_t n);
size_t take_bytes(const void *p, size_t size, size_t n);

#endif
