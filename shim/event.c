/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/event.h"

#include <pthread.h>
#include <stdio.h>

#include "shim/export.h"
#include "shim/faissx.h"
#include "shim/object.h"
#include "shim/thread.h"
#include "shim/transport/session.h"

static struct {
    pthread_mutex_t lock;
    void (*f)(int event, const char *text, void *user);
    void *user;
} listener = {.lock = PTHREAD_MUTEX_INITIALIZER};

FX_EXPORT void faissx_on_event(void (*f)(int event, const char *text, void *user), void *user)
{
    pthread_mutex_lock(&listener.lock);
    listener.f = f;
    listener.user = user;
    pthread_mutex_unlock(&listener.lock);
}

static void tell(int event, const char *text)
{
    pthread_mutex_lock(&listener.lock);
    void (*f)(int event, const char *text, void *user) = listener.f;
    void *user = listener.user;
    pthread_mutex_unlock(&listener.lock);
    if (f)
        f(event, text, user);
}

void fx_event_broken(struct fx_thread *self, const char *why)
{
    if (self->seen.broken)
        return;
    self->seen.broken = 1;
    tell(FAISSX_EVENT_DISCONNECTED, why);
}

void fx_event_connected(struct fx_thread *self)
{
    const struct fx_channel *ch = &self->channel;
    struct fx_seen before = self->seen;
    self->seen = (struct fx_seen){1, ch->generation, ch->epoch, 0};
    /* After faissx_configure() and in a forked child the connection is another one by intention. */
    if (!before.connected || before.epoch != ch->epoch)
        return;
    if (before.generation != ch->generation) {
        char why[FX_WHY_SIZE], text[FX_WHY_SIZE + 160];
        unsigned gone, named;
        fx_session_why(before.generation, why, sizeof why);
        fx_obj_count_lost(ch->generation, &gone, &named);
        snprintf(text, sizeof text,
                 "%s; objects of this process that are gone: %u; indexes that will be opened again "
                 "by their names: %u",
                 why, gone, named);
        tell(FAISSX_EVENT_SESSION_LOST, text);
    } else if (before.broken) {
        tell(FAISSX_EVENT_RECONNECTED, "connected again, in the same session");
    }
}
