/* SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "client.h"

char *path_of(const char *name)
{
    static char path[NAME_SIZE + 16];
    snprintf(path, sizeof path, "faissx://%s", name);
    return path;
}

bool is_remote_error(void)
{
    return strncmp(last_error(), "faissx:", 7) == 0;
}

FaissIndex *handle_of(struct work *w, struct place *p)
{
    if (p->index || p->unsure || !p->published)
        return p->index;
    if (faiss_read_index_fname(path_of(p->name), 0, &p->index) == 0) {
        w->errors = 0;
        return p->index;
    }
    p->index = NULL;
    w->errors++;
    if (w->errors % 100 == 0)
        fprintf(stderr, "client %d: %s cannot be opened: %s\n", w->client, p->name, last_error());
    return NULL;
}

void forget_handles(struct work *w)
{
    for (int i = 0; i < PLACES; i++) {
        faiss_Index_free(w->place[i].index);
        w->place[i].index = NULL;
    }
}

/* --- ids --- */

void ids_add(struct ids *s, uint32_t id)
{
    if (s->n == s->room) {
        s->room = s->room ? 2 * s->room : 64;
        s->id = realloc(s->id, s->room * sizeof *s->id);
        if (!s->id)
            abort();
    }
    s->id[s->n++] = id;
}

uint32_t ids_take(struct ids *s, uint32_t at)
{
    uint32_t id = s->id[at];
    s->id[at] = s->id[--s->n];
    return id;
}

uint32_t work_random(struct work *w, uint32_t below)
{
    w->random = w->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(w->random >> 33) % below;
}
