/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that trains: one index after the other. */
#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "server/engine/run/wide.h"
#include "server/engine/training/training.h"
#include "server/log.h"

enum { STACK = 4 << 20, NICE = 10 };

/* engine.lock */
static struct {
    pthread_cond_t wanted;
    struct fxe_obj *first, *last;
    bool runs, at_work;
} trainer = {.wanted = PTHREAD_COND_INITIALIZER};

/* The caller holds engine.lock. */
static struct fxe_obj *next_due(void)
{
    while (!trainer.first)
        pthread_cond_wait(&trainer.wanted, &fxe_engine.lock);
    struct fxe_obj *o = trainer.first;
    trainer.first = o->training->next;
    o->training->next = NULL;
    o->training->due = false;
    o->training->runs = true;
    return o;
}

static void *run(void *arg)
{
    setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE);
    if (fxe_engine.omp_set_num_threads)
        fxe_engine.omp_set_num_threads((int)(intptr_t)arg);
    fxe_lock();
    for (;;) {
        struct fxe_obj *o = next_due(), *doomed = NULL;
        struct fxe_req *asked = o->training->asked;
        o->training->asked = NULL;
        trainer.at_work = true;
        fxe_unlock();
        fxe_training_run(o, asked);
        fxe_lock();
        trainer.at_work = false;
        if (o->training && o->training->asked)
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
    if (t->due || t->runs)
        return true; /* the thread looks again when it has ended */
    if (!trainer.runs)
        start();
    if (!trainer.runs)
        return false;
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
