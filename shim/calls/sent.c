/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/calls/sent.h"

#include <pthread.h>
#include <string.h>

#include "proto/content.h"
#include "shim/transport/session.h"

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
    if (last.array.size == array->size && last.array.generation == array->generation &&
        memcmp(last.array.pages, array->pages, sizeof array->pages) == 0)
        id = last.array.id;
    pthread_mutex_unlock(&last.lock);
    return id;
}

void fx_sent_note(const struct fx_sent *array)
{
    if (pthread_mutex_trylock(&last.lock) != 0)
        return;
    last.array = *array;
    pthread_mutex_unlock(&last.lock);
}
