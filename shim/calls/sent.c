/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/calls/sent.h"

#include <pthread.h>
#include <string.h>

#include "proto/content.h"
#include "shim/thread.h"
#include "shim/transport/session.h"

enum { ASK_MS = 25000 }; /* the server keeps it for 30 seconds */

/* Nobody waits for the lock: a process that was forked while another thread had it would for ever.
 */
static struct {
    pthread_mutex_t lock;
    struct fx_sent array;
} last = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int page_of(void *data, void *page, uint64_t offset)
{
    memcpy(page, (const char *)data + offset, FX_PAGE);
    return 0;
}

struct fx_sent fx_sent_of(const void *data, size_t size, uint64_t id)
{
    struct fx_sent s = {.id = id, .size = size, .generation = fx_session_generation()};
    _Static_assert(sizeof s.pages == FX_HASH_SIZE, "a hash of the pages");
    fx_content_pages(page_of, (void *)(uintptr_t)data, size, s.pages);
    return s;
}

uint64_t fx_sent_find(const struct fx_sent *array)
{
    uint64_t id = 0;
    if (pthread_mutex_trylock(&last.lock) != 0)
        return 0;
    if (last.array.size == array->size && fx_now_ms() - last.array.used_ms < ASK_MS &&
        last.array.generation == array->generation &&
        memcmp(last.array.pages, array->pages, sizeof array->pages) == 0)
        id = last.array.id;
    pthread_mutex_unlock(&last.lock);
    return id;
}

/* Is the array that is remembered a larger one of the same call? */
static int is_smaller(const struct fx_sent *array)
{
    const struct fx_sent *l = &last.array;
    return array->call && l->call == array->call && l->thread == array->thread &&
           l->generation == array->generation && l->size > array->size;
}

void fx_sent_note(const struct fx_sent *array, uint64_t call)
{
    struct fx_sent a = *array;
    a.call = call;
    a.thread = fx_self();
    a.used_ms = fx_now_ms();
    if (pthread_mutex_trylock(&last.lock) != 0)
        return;
    if (!is_smaller(&a))
        last.array = a;
    pthread_mutex_unlock(&last.lock);
}

void fx_sent_used(void)
{
    const void *self = fx_self();
    if (pthread_mutex_trylock(&last.lock) != 0)
        return;
    if (last.array.thread == self)
        last.array.used_ms = fx_now_ms();
    pthread_mutex_unlock(&last.lock);
}
