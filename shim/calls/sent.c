/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/calls/sent.h"

#include <pthread.h>
#include <string.h>

#include "proto/content.h"
#include "shim/thread.h"

enum {
    ASK_MS = 25000, /* the server keeps it for 30 seconds */
    NOTED = 16      /* arrays of calls that have not ended: of others nothing is known later */
};

/* Nobody waits for the lock: a process that was forked while another thread had it would for ever.
 */
static struct {
    pthread_mutex_t lock;
    struct fx_sent noted[NOTED], kept;
    unsigned n; /* how many have been noted */
} sent = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int page_of(void *data, void *page, uint64_t offset)
{
    memcpy(page, (const char *)data + offset, FX_PAGE);
    return 0;
}

struct fx_sent fx_sent_of(const void *data, size_t size, uint64_t id, unsigned generation)
{
    struct fx_sent s = {.id = id, .size = size, .generation = generation};
    _Static_assert(sizeof s.pages == FX_HASH_SIZE, "a hash of the pages");
    fx_content_pages(page_of, (void *)(uintptr_t)data, size, s.pages);
    return s;
}

uint64_t fx_sent_take(const struct fx_sent *array)
{
    uint64_t id = 0;
    const struct fx_sent *k = &sent.kept;
    if (pthread_mutex_trylock(&sent.lock) != 0)
        return 0;
    if (k->id && k->size == array->size && fx_now_ms() - k->kept_ms < ASK_MS &&
        k->generation == array->generation &&
        memcmp(k->pages, array->pages, sizeof array->pages) == 0) {
        id = k->id;
        sent.kept.id = 0;
    }
    pthread_mutex_unlock(&sent.lock);
    return id;
}

void fx_sent_note(const struct fx_sent *array)
{
    if (pthread_mutex_trylock(&sent.lock) != 0)
        return;
    sent.noted[sent.n++ % NOTED] = *array;
    pthread_mutex_unlock(&sent.lock);
}

void fx_sent_kept(uint64_t id)
{
    if (pthread_mutex_trylock(&sent.lock) != 0)
        return;
    for (int i = 0; i < NOTED; i++)
        if (sent.noted[i].id == id) {
            sent.kept = sent.noted[i];
            sent.kept.kept_ms = fx_now_ms();
            sent.noted[i].id = 0;
        }
    pthread_mutex_unlock(&sent.lock);
}
