/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/dialect/links.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "server/engine/dialect/ask.h"

/* The oldest are forgotten.  EACH: of one base: training each of them is one more request. */
enum { LINKS_MAX = 4096, EACH = 64 };

struct link {
    char base[FXD_NAME_MAX + 1], wrapper[FXD_NAME_MAX + 1];
    struct link *prev, *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct link *links; /* the oldest first */
static int count;

static void drop(struct link *l)
{
    DL_DELETE(links, l);
    free(l);
    count--;
}

static void drop_wrapper(const char *wrapper)
{
    struct link *l, *next;
    DL_FOREACH_SAFE(links, l, next)
    {
        if (strcmp(l->wrapper, wrapper) == 0)
            drop(l);
    }
}

/* If the base has as many as it may. */
static void drop_oldest_of(const char *base)
{
    struct link *l, *oldest = NULL;
    int n = 0;
    DL_FOREACH(links, l)
    {
        if (strcmp(l->base, base) != 0)
            continue;
        oldest = oldest ? oldest : l;
        n++;
    }
    if (n >= EACH)
        drop(oldest);
}

void fxd_links_add(const char *base, const char *wrapper)
{
    struct link *l = calloc(1, sizeof *l);
    if (!l)
        return;
    strcpy(l->base, base);
    strcpy(l->wrapper, wrapper);
    pthread_mutex_lock(&lock);
    drop_wrapper(wrapper);
    drop_oldest_of(base);
    if (count == LINKS_MAX)
        drop(links);
    DL_APPEND(links, l);
    count++;
    pthread_mutex_unlock(&lock);
}

void fxd_links_drop(const char *wrapper)
{
    pthread_mutex_lock(&lock);
    drop_wrapper(wrapper);
    pthread_mutex_unlock(&lock);
}

bool fxd_links_next(const char *base, int i, char *wrapper)
{
    struct link *l;
    bool found = false;
    pthread_mutex_lock(&lock);
    DL_FOREACH(links, l)
    {
        if (strcmp(l->base, base) == 0 && i-- == 0) {
            strcpy(wrapper, l->wrapper);
            found = true;
            break;
        }
    }
    pthread_mutex_unlock(&lock);
    return found;
}

bool fxd_links_base(const char *wrapper, char *base)
{
    struct link *l;
    bool found = false;
    pthread_mutex_lock(&lock);
    DL_FOREACH(links, l)
    {
        if (strcmp(l->wrapper, wrapper) == 0) {
            strcpy(base, l->base);
            found = true;
            break;
        }
    }
    pthread_mutex_unlock(&lock);
    return found;
}
