/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crash-learn RELEASE FILE...: prints the rows of server/engine/guard/refusals.h for a release,
 * without its number, from what `crash` printed.
 *
 * The steps of all lives are counted in cells.  A cell is an act, its circumstances, and the shape
 * of the index.  It is dead if every step in it ended the process, mixed if some did.  Rules are
 * found greedily: for a dead cell, of all patterns and circumstances that cover it and only dead
 * cells, the one that covers most.  For a mixed cell the same, but a rule may cover any cell in
 * which a step ended the process.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crash.h"
#include "server/engine/guard/acts.h"
#include "server/engine/guard/refusal.h"

struct cell {
    enum fxe_act act;
    unsigned given;
    int shape;
    int good, died, hung; /* steps; all 0: none was tried, because others with it had died */
    int covered;
    int next; /* cell of the same act and shape + 1, or 0 */
};

static struct cell *cells;
static int ncells;
static char **shapes;
static int nshapes;
static int *first[FXE_NACTS]; /* of each act and shape: its first cell + 1, or 0 */

static const char *const act_names[] = {
#define X(name) #name,
    FXE_ACTS(X)
#undef X
};

static void *grow(void *list, int n, size_t size)
{
    if (n & (n - 1)) /* the size doubles at powers of two */
        return list;
    list = realloc(list, size * (size_t)(n ? 2 * n : 1));
    if (!list)
        abort();
    return list;
}

/* --- reading --- */

struct meaning {
    enum fxe_act act;
    unsigned given;
};

static int meaning(enum step s, struct meaning *m)
{
#define MEANS(step, what, flags)                      \
    case STEP_##step:                                 \
        *m = (struct meaning){FXE_ACT_##what, flags}; \
        return 1
    switch (s) {
        MEANS(train, train, 0);
        MEANS(retrain, train, 0);
        MEANS(add_ids, add_with_ids, 0);
        MEANS(reset_ids, reset, 0);
        MEANS(add, add, 0);
        MEANS(add_loaded, add, 0);
        MEANS(add_again, add, 0);
        MEANS(add_none, add, FXE_NOTHING);
        MEANS(add_with_ids, add_with_ids, 0);
        MEANS(search_1, search, 0);
        MEANS(search, search, 0);
        MEANS(search_blas, search, FXE_BATCH);
        MEANS(search_many, search, FXE_MANY);
        MEANS(search_none, search, FXE_NOTHING);
        MEANS(search_k0, search, FXE_K0);
        MEANS(search_nan, search, FXE_ODD);
        MEANS(search_inf, search, FXE_ODD);
        MEANS(search_huge, search, FXE_ODD);
        MEANS(search_nprobe, search, 0);
        MEANS(search_ef, search, 0);
        MEANS(search_k_factor, search, 0);
        MEANS(search_loaded, search, 0);
        MEANS(search_clone, search, 0);
        MEANS(search_merged, search, 0);
        MEANS(search_removed, search, 0);
        MEANS(search_rest, search, 0);
        MEANS(search_reset, search, 0);
        MEANS(search_again, search, 0);
        MEANS(assign, search, 0);
        MEANS(params, params, 0);
        MEANS(params_sel, params, FXE_SELECTOR);
        MEANS(params_batch, params, FXE_SELECTOR);
        MEANS(params_ivf, params, FXE_OF_IVF);
        MEANS(params_ivf_sel, params, FXE_OF_IVF | FXE_SELECTOR);
        MEANS(params_hnsw, params, FXE_OF_HNSW);
        MEANS(params_hnsw_sel, params, FXE_OF_HNSW | FXE_SELECTOR);
        MEANS(range, range, 0);
        MEANS(range_blas, range, FXE_BATCH);
        MEANS(range_all, range, 0);
        MEANS(range_all_ip, range, 0);
        MEANS(range_nan, range, 0);
        MEANS(range_none, range, FXE_NOTHING);
        MEANS(range_loaded, range, 0);
        MEANS(range_reset, range, 0);
        MEANS(reconstruct, reconstruct, 0);
        MEANS(reconstruct_map, reconstruct, 0);
        MEANS(residual, residual, 0);
        MEANS(sa_encode, encode, 0);
        MEANS(sa_decode, decode, 0);
        MEANS(nprobe, set, 0);
        MEANS(ef, set, 0);
        MEANS(k_factor, set, 0);
        MEANS(save, save, 0);
        MEANS(load, load, 0);
        MEANS(clone, clone, 0);
        MEANS(merge, merge, 0);
        MEANS(copy_subset, copy_subset, 0);
        MEANS(direct_map, direct_map, 0);
        MEANS(remove_range, remove, 0);
        MEANS(remove_batch, remove, 0);
        MEANS(remove_all, remove, 0);
        MEANS(remove_loaded, remove, 0);
        MEANS(reset, reset, 0);
        MEANS(free, free, 0);
    default: /* the engine makes this call in another way, as those of the steps *_beyond and
              * *_loaded that are not above, or it is not an act on an index */
        return 0;
    }
#undef MEANS
}

/* Adds the circumstances that the life's vectors imply.  Returns 0, or -1 to leave the step out. */
static int of_variant(enum step s, const char *variant, struct meaning *m)
{
    int one = strcmp(variant, "one") == 0, is_search = m->act == FXE_ACT_search;
    int odd_added = strcmp(variant, "nan") == 0 || strcmp(variant, "inf") == 0;
    int odd = strcmp(variant, "huge") == 0 || strcmp(variant, "nan_train") == 0;
    switch (m->act) {
    case FXE_ACT_train:
        if (s == STEP_train)
            m->given |= strcmp(variant, "train0") == 0   ? FXE_NOTHING | FXE_FEW
                        : strcmp(variant, "train1") == 0 ? FXE_ONE | FXE_FEW
                        : strcmp(variant, "least") == 0  ? FXE_FEW
                                                         : 0;
        m->given |= odd || (odd_added && s == STEP_retrain) ? FXE_ODD : 0;
        break;
    case FXE_ACT_add:
    case FXE_ACT_add_with_ids:
        m->given |= (odd || odd_added) && s != STEP_add_none ? FXE_ODD : 0;
        break;
    case FXE_ACT_search:
    case FXE_ACT_params:
    case FXE_ACT_range:
    case FXE_ACT_encode:
    case FXE_ACT_residual:
        m->given |= odd && !(m->given & FXE_NOTHING) ? FXE_ODD : 0;
        if (one && (is_search || m->act == FXE_ACT_params) && s != STEP_search_1 &&
            s != STEP_search_again && !(m->given & FXE_K0))
            m->given |= FXE_MANY;
        break;
    default:
        break;
    }
    /* The engine passes an IDSelectorRange that ends beyond the vectors in another way. */
    return s == STEP_params_sel && (one || m->given & FXE_EMPTY) ? -1 : 0;
}

static int shape_number(const char *text)
{
    static int last;
    if (last < nshapes && strcmp(shapes[last], text) == 0)
        return last;
    for (last = 0; last < nshapes; last++)
        if (strcmp(shapes[last], text) == 0)
            return last;
    shapes = grow(shapes, nshapes, sizeof(*shapes));
    shapes[nshapes] = strdup(text);
    return nshapes++;
}

static void count(struct meaning m, int shape, char outcome)
{
    enum { BUCKETS = 1 << 21 };
    static int buckets[BUCKETS]; /* number of a cell + 1, or 0 */
    if (2 * ncells > BUCKETS) {
        fprintf(stderr, "crash-learn: more than %d cells\n", BUCKETS / 2);
        exit(1);
    }
    unsigned at =
        ((unsigned)shape * 2654435761u ^ (unsigned)m.act * 40503u ^ m.given * 69069u) % BUCKETS;
    while (buckets[at]) {
        struct cell *c = &cells[buckets[at] - 1];
        if (c->act == m.act && c->given == m.given && c->shape == shape)
            break;
        at = (at + 1) % BUCKETS;
    }
    if (!buckets[at]) {
        cells = grow(cells, ncells, sizeof *cells);
        cells[ncells++] = (struct cell){m.act, m.given, shape, 0, 0, 0, 0, 0};
        buckets[at] = ncells;
    }
    struct cell *c = &cells[buckets[at] - 1];
    c->good += outcome == 'o' || outcome == 'e';
    c->died += outcome == 'x' || outcome == 's';
    c->hung += outcome == 'h';
}

static void read_line(char *line)
{
    char *field[8] = {NULL};
    int n = 0;
    for (char *p = line; n < 8 && (field[n] = strsep(&p, "\t\n")); n++)
        ;
    if (n < 8 || strcmp(field[0], "died") == 0 || !*field[6])
        return;
    int shape = shape_number(field[6]);
    for (int s = 0; s < NSTEPS && field[4][s]; s++) {
        struct meaning m;
        char outcome = field[4][s];
        int before = field[5][s] - '0';
        if (outcome == '-' || before < 0 || !meaning((enum step)s, &m))
            continue;
        m.given |= (before & 1 ? FXE_EMPTY : 0) | (before & 2 ? FXE_UNTRAINED : 0);
        if (of_variant((enum step)s, field[3], &m) != 0)
            continue;
        if (m.given & FXE_EMPTY) /* FXE_MANY means k > ntotal > 0 */
            m.given &= ~(unsigned)FXE_MANY;
        count(m, shape, outcome);
    }
}

static void read_file(const char *name)
{
    FILE *f = fopen(name, "r");
    char *line = NULL;
    size_t room = 0;
    if (!f) {
        perror(name);
        exit(1);
    }
    while (getline(&line, &room, f) > 0)
        read_line(line);
    free(line);
    fclose(f);
}

/* --- rules --- */

struct rule {
    unsigned with, without;
    char pattern[200];
    int covers;
    int general; /* the lower, the more general */
};

/* Returns which shapes fit the pattern, one byte for each.  Results are kept. */
static const unsigned char *fitting(const char *pattern)
{
    static struct {
        char *pattern;
        unsigned char *fits;
    } known[1 << 16];
    static int of; /* nshapes when `known` was filled */
    unsigned h = 5381;
    if (of != nshapes) {
        memset(known, 0, sizeof known);
        of = nshapes;
    }
    for (const char *p = pattern; *p; p++)
        h = h * 33 + (unsigned char)*p;
    for (h %= 1 << 16; known[h].pattern; h = (h + 1) % (1 << 16))
        if (strcmp(known[h].pattern, pattern) == 0)
            return known[h].fits;
    known[h].pattern = strdup(pattern);
    known[h].fits = malloc((size_t)nshapes);
    for (int i = 0; i < nshapes; i++)
        known[h].fits[i] = (unsigned char)fxe_shape_matches(shapes[i], pattern);
    return known[h].fits;
}

static int dead(const struct cell *c)
{
    return c->died + c->hung > 0 && c->good == 0;
}

static void link_cells(void)
{
    for (int act = 0; act < FXE_NACTS; act++) {
        free(first[act]);
        first[act] = calloc((size_t)nshapes + 1, sizeof **first);
        if (!first[act])
            abort();
    }
    for (int i = ncells - 1; i >= 0; i--) {
        int *at = &first[cells[i].act][cells[i].shape];
        cells[i].next = *at;
        *at = i + 1;
    }
}

static int untried(const struct cell *c)
{
    return c->died + c->hung + c->good == 0;
}

/* Returns how many uncovered cells the rule covers, or -1 if it covers one that it must not. */
static int covers(const struct rule *r, enum fxe_act act, int wanted_dead)
{
    const unsigned char *fits = fitting(r->pattern);
    int n = 0;
    for (int shape = 0; shape < nshapes; shape++)
        for (int i = fits[shape] ? first[act][shape] : 0; i; i = cells[i - 1].next) {
            const struct cell *c = &cells[i - 1];
            if ((r->with & ~c->given) || (r->without & c->given))
                continue;
            if (!untried(c) && (wanted_dead ? !dead(c) : c->died + c->hung == 0))
                return -1;
            n += !c->covered && (untried(c) || dead(c) == wanted_dead);
        }
    return n;
}

static void consider(struct rule *best, struct rule r, const struct cell *c, int wanted_dead)
{
    r.covers = covers(&r, c->act, wanted_dead);
    r.general += 3 * (__builtin_popcount(r.with) + __builtin_popcount(r.without));
    if (r.covers > best->covers || (r.covers == best->covers && r.general < best->general))
        *best = r;
}

static void conditions(struct rule *best, const char *pattern, int general, const struct cell *c,
                       int wanted_dead)
{
    struct rule r = {.general = general};
    snprintf(r.pattern, sizeof r.pattern, "%s", pattern);
    consider(best, r, c, wanted_dead);
    for (unsigned a = 1; a < FXE_CIRCUMSTANCES; a <<= 1) {
        r.with = c->given & a;
        r.without = a & ~c->given;
        consider(best, r, c, wanted_dead);
        for (unsigned b = a << 1; b < FXE_CIRCUMSTANCES; b <<= 1) {
            r.with = c->given & (a | b);
            r.without = (a | b) & ~c->given;
            consider(best, r, c, wanted_dead);
        }
    }
    r.with = c->given;
    r.without = (FXE_CIRCUMSTANCES - 1) & ~c->given;
    consider(best, r, c, wanted_dead);
}

/* Writes `word`, generalised to `level`.  Returns 0 if the level does not apply to this word. */
static int widen(const char *word, int level, char *out, size_t len)
{
    int metric = -1, type = -1;
    char name[64] = "";
    sscanf(word, "%63[^:]:%d:%d", name, &metric, &type);
    if (level > 0 && metric < 0)
        return 0;
    switch (level) {
    case 0:
        snprintf(out, len, "%s", name);
        return 1;
    case 1:
        snprintf(out, len, "%s:%s", name, metric > 22 ? "#" : "+");
        return metric > 1;
    case 2:
        snprintf(out, len, "%s:%d", name, metric);
        return 1;
    case 3:
        snprintf(out, len, "%s:*:%d", name, type);
        return type >= 0;
    case 4:
        snprintf(out, len, "%s:%s:%d", name, metric > 22 ? "#" : "+", type);
        return type >= 0 && metric > 1;
    default:
        snprintf(out, len, "%s:%d:%d", name, metric, type);
        return type >= 0;
    }
}

enum { LEVELS = 6, MOST_WORDS = 8 };

static void patterns(struct rule *best, const struct cell *c, int wanted_dead)
{
    char text[512], *word[MOST_WORDS], *p = text, a[80], b[80], both[170];
    int n = 0;
    snprintf(text, sizeof text, "%s", shapes[c->shape]);
    while (n < MOST_WORDS && (word[n] = strsep(&p, " ")))
        n++;
    for (int i = 0; i < n; i++)
        for (int level = 0; level < LEVELS; level++)
            if (widen(word[i], level, a, sizeof a))
                conditions(best, a, level, c, wanted_dead);
    if (best->covers > 0)
        return;
    for (int i = 0; i < n; i++)
        for (int k = i + 1; k < n; k++)
            for (int level = 0; level < LEVELS; level++)
                for (int other = 0; other < LEVELS; other++)
                    if (widen(word[i], level, a, sizeof a) && widen(word[k], other, b, sizeof b)) {
                        snprintf(both, sizeof both, "%s %s", a, b);
                        conditions(best, both, 10 + level + other, c, wanted_dead);
                        if (k != i + 1)
                            continue;
                        snprintf(both, sizeof both, "%s,%s", a, b);
                        conditions(best, both, 11 + level + other, c, wanted_dead);
                    }
    if (best->covers > 0 || strlen(shapes[c->shape]) >= sizeof best->pattern)
        return;
    snprintf(text, sizeof text, "%s", shapes[c->shape]);
    for (p = text; *p; p++)
        *p = *p == ' ' ? ',' : *p;
    conditions(best, text, 40, c, wanted_dead);
}

static void cover(const struct rule *r, enum fxe_act act, int *hung, int *died)
{
    const unsigned char *fits = fitting(r->pattern);
    for (int i = 0; i < ncells; i++) {
        struct cell *c = &cells[i];
        if (c->act != act || !fits[c->shape] || (r->with & ~c->given) || (r->without & c->given))
            continue;
        c->covered = 1;
        *hung += c->hung;
        *died += c->died;
    }
}

/* Makes a rule for a cell that nothing distinguishes from cells without deaths.  It covers those,
 * too: their calls will be tried. */
static int widest(struct rule *best, const struct cell *c)
{
    best->with = c->given;
    best->without = 0;
    best->covers = 1;
    snprintf(best->pattern, sizeof best->pattern, "%s", shapes[c->shape]);
    for (char *p = best->pattern; *p; p++)
        *p = *p == ' ' ? ',' : *p;
    return 1;
}

static int learn(int wanted_dead)
{
    int rules = 0;
    for (int i = 0; i < ncells; i++) {
        struct cell *c = &cells[i];
        struct rule best = {.covers = 0};
        int hung = 0, died = 0;
        if (c->covered || (!untried(c) && c->died + c->hung == 0) || dead(c) != wanted_dead)
            continue;
        patterns(&best, c, wanted_dead);
        int tolerated = best.covers <= 0 && widest(&best, c);
        if (best.covers <= 0) {
            fprintf(stderr, "crash-learn: no rule for %s of %s: %d good, %d died, %d hung, %u\n",
                    act_names[c->act], shapes[c->shape], c->good, c->died, c->hung, c->given);
            continue;
        }
        cover(&best, c->act, &hung, &died);
        /* Never refuse where other vectors may work: FXE_ODD is wide, and a graph needs enough
         * vectors. */
        int always =
            wanted_dead && !tolerated && !(best.with & FXE_ODD) && !strstr(best.pattern, "INS");
        const char *verdict = always ? (died == 0 ? "HANGS" : "REFUSE") : hung ? "MAY_HANG" : "TRY";
        printf("ROW(%s, %s, %u, %u, \"%s\")\n", verdict, act_names[c->act], best.with, best.without,
               best.pattern);
        rules++;
    }
    return rules;
}

/* Prints the first row of a release, with all words of all shapes. */
static void print_release(const char *name)
{
    char *known[1 << 12];
    int n = 0, column = 0;
    for (int i = 0; i < nshapes; i++) {
        char text[512], *p = text, *word;
        snprintf(text, sizeof text, "%s", shapes[i]);
        while ((word = strsep(&p, " "))) {
            char wide[80];
            int k = 0;
            word = widen(word, 4, wide, sizeof wide) || widen(word, 1, wide, sizeof wide) ? wide
                                                                                          : word;
            while (k < n && strcmp(known[k], word) != 0)
                k++;
            if (k == n && n < 1 << 12 && *word != 'N' && *word != '0')
                known[n++] = strdup(word);
        }
    }
    printf("RELEASE(\"%s\",", name);
    for (int i = 0; i < n; i++) {
        int first = column == 0 || column > 80;
        column = first ? printf("%s\n        \"%s", i ? " \"" : "", known[i])
                       : column + printf(" %s", known[i]);
    }
    printf("%s\")\n", n ? "" : " \"");
}

static void release(const char *name, char **files, int n)
{
    int counts[4] = {0};
    for (int i = 0; i < n; i++)
        read_file(files[i]);
    for (int i = 0; i < ncells; i++)
        counts[untried(&cells[i])                   ? 3
               : cells[i].died + cells[i].hung == 0 ? 0
               : dead(&cells[i])                    ? 1
                                                    : 2]++;
    print_release(name);
    link_cells();
    int always = learn(1), sometimes = learn(0);
    fprintf(stderr,
            "%s: %d shapes; %d cells, of which %d always end or hang the process, %d sometimes, "
            "and %d were not tried; %d rows refuse, %d try\n",
            name, nshapes, ncells, counts[1], counts[2], counts[3], always, sometimes);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: crash-learn RELEASE FILE...\n");
        return 2;
    }
    release(argv[1], argv + 2, argc - 2);
    return 0;
}
