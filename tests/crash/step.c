/* SPDX-License-Identifier: Apache-2.0 */
#include "step.h"

#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "server/engine/guard/shape.h"

enum { MS = 500 };

const char *const step_names[NSTEPS] = {
#define X(name) #name,
    STEPS(X)
#undef X
};

const char *const variant_names[NVARIANTS] = {
#define X(name) #name,
    VARIANTS(X)
#undef X
};

struct place *place;
int step_ms = 1000;
int remote;

const FaissIndex *subject;
const FaissIndexBinary *binary_subject;

static void limit(int ms)
{
    if (remote) /* FAISS runs in the server */
        return;
    struct itimerval t = {.it_value = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000}};
    setitimer(ITIMER_PROF, &t, NULL);
}

static char state(void)
{
    if (subject)
        return (char)('0' + (api.Index_ntotal(subject) == 0) + 2 * !api.Index_is_trained(subject));
    if (binary_subject)
        return (char)('0' + (api.IndexBinary_ntotal(binary_subject) == 0) +
                      2 * !api.IndexBinary_is_trained(binary_subject));
    return '0';
}

int enter(enum step s)
{
    place->state[s] = state();
    if (place->skip[s]) {
        place->outcome[s] = place->skip[s];
        return 0;
    }
    place->step = s;
    if ((place->skip[s] = rehearse(s))) {
        place->step = -1;
        place->outcome[s] = place->skip[s];
        return 0;
    }
    limit(s == STEP_train || s == STEP_retrain || step_ms < MS ? step_ms : MS);
    return 1;
}

int leave(enum step s, int rc)
{
    if (rehearsing)
        _exit(0);
    place->step = -1;
    place->outcome[s] = rc == 0                                                     ? 'o'
                        : remote && strstr(api.get_last_error(), " died (") != NULL ? 'D'
                                                                                    : 'e';
    return rc;
}

void no_limit(void)
{
    limit(0);
}

int to_train(enum variant v)
{
    return v == VARIANT_least ? LEAST : v == VARIANT_train1 ? 1 : v == VARIANT_train0 ? 0 : NT;
}

int to_add(enum variant v)
{
    return v == VARIANT_one ? 1 : v == VARIANT_empty ? 0 : NB;
}

int record_shape(const struct life *l, void *index, int binary)
{
    fxe_shape_text(&api, index, binary, place->shape);
    FaissIndex *part = l->kind->family == MADE ? made_part(l->kind->name, index) : NULL;
    if (part) {
        size_t at = strlen(place->shape);
        place->shape[at] = ' ';
        fxe_shape_text(&api, part, 0, place->shape + at + 1);
    }
    return 0;
}
