/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that trains: one index after the other. */
#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "server/engine/keep/keep.h"
#include "server/engine/run/wide.h"
#include "server/engine/search/split.h"
#include "server/engine/training/training.h"
#include "server/log.h"

enum { STACK = 4 << 20, NICE = 10, LOOK_AGAIN = 1 /* seconds */ };

/* engine.lock */
static struct {
    pthread_cond_t wanted;
    struct fxe_obj *first, *last;
    bool runs, at_work;
} trainer = {.wanted = PTHREAD_COND_INITIALIZER};

/* The caller holds engine.lock. */
static struct fxe_obj *take_first(void)
{
    struct fxe_obj *before = NULL, *o = trainer.first;
    while (o && fxe_training_is_held(o)) {
        before = o;
        o = o->training->next;
    }
    if (!o)
        return NULL;
    if (before)
        before->training->next = o->training->next;
    else
        trainer.first = o->training->next;
    if (trainer.last == o)
        trainer.last = before;
    o->training->next = NULL;
    o->training->due = false;
    o->training->runs = true;
    return o;
}

/* Looks again after a while whether those that other objects contain are free.  The caller holds
 * engine.lock. */
static struct fxe_obj *next_due(void)
{
    struct fxe_obj *o;
    trainer.at_work = false;
    while (!(o = take_first())) {
        struct timespec t;
        clock_gettime(CLOCK_REALTIME, &t);
        t.tv_sec += LOOK_AGAIN;
        if (trainer.first)
            pthread_cond_timedwait(&trainer.wanted, &fxe_engine.lock, &t);
        else
            pthread_cond_wait(&trainer.wanted, &fxe_engine.lock);
    }
    trainer.at_work = true;
    return o;
}

/* Vectors may have been added during a training that failed because of what it was asked for with,
 * or the index may have been dropped, and read from disk again before the training had ended. */
static void look_again(struct fxe_obj *o)
{
    struct fxe_req *hold = fxe_hold_object(o);
    if (!hold)
        return;
    fxe_lock();
    if (o->named || o->naliases) /* else nobody can use it any more */
        fxe_training_look(o);
    fxe_unlock();
    fxe_hold_end(hold);
}

static void *run(void *arg)
{
    int width = (int)(intptr_t)arg;
    setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE);
    fxe_wide_set_width(width);
    fxe_split_warm_up();
    fxe_lock();
    for (;;) {
        struct fxe_obj *o = next_due(), *doomed = NULL;
        struct fxe_req *asked = o->training->asked;
        o->training->asked = NULL;
        fxe_unlock();
        fxe_wide_set_width(width);
        bool later = fxe_training_run(o, asked);
        if (o->training)
            look_again(o);
        fxe_lock();
        if (o->training && (later || o->training->asked))
            fxe_trainer_add(o);
        fxe_obj_let_go(o, &doomed);
        fxe_unlock();
        fxe_obj_destroy_list(doomed);
        fxe_lock();
    }
    return NULL;
}

/* The caller holds engine.lock. */
static void start(void)
{
    pthread_t t;
    pthread_attr_t attr;
    int width = fxe_wide_threads();
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    int rc = pthread_create(&t, &attr, run, (void *)(intptr_t)width);
    pthread_attr_destroy(&attr);
    trainer.runs = rc == 0;
    if (rc != 0)
        fxs_log(FXS_WARN, "engine", "event=no-thread errno=%d", rc);
}

bool fxe_trainer_add(struct fxe_obj *o)
{
    struct fxe_training *t = o->training;
    if (!trainer.runs)
        start();
    if (!trainer.runs)
        return false;
    if (t->due || t->runs) {                  /* the thread looks again when it has ended; */
        pthread_cond_signal(&trainer.wanted); /* it may have been asked for one that it passed by */
        return true;
    }
    t->due = true;
    t->next = NULL;
    fxe_obj_hold(o);
    if (trainer.first)
        trainer.last->training->next = o;
    else
        trainer.first = o;
    trainer.last = o;
    pthread_cond_signal(&trainer.wanted);
    return true;
}

bool fxe_trainer_works(void)
{
    return trainer.first || trainer.at_work;
}
