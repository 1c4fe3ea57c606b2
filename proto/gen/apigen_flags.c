/* SPDX-License-Identifier: Apache-2.0 */
/* Parses the flags of a function, and checks that its prototype fits them. */
#include <string.h>

#include "apigen.h"

const char *const flag_names[] = {
#define X(name, word) word,
    FX_FLAGS(X)
#undef X
        NULL};

#define X(name) #name,
const char *const act_names[] = {"none", FX_ACTS(X) NULL};
const char *const check_names[] = {FX_SCALAR_CHECKS(X) FX_ARRAY_CHECKS(X) NULL};
#undef X

/* The index of `word` in a NULL-terminated list, or -1. */
static int find_word(const char *const *list, const char *word)
{
    for (int i = 0; list[i]; i++)
        if (strcmp(list[i], word) == 0)
            return i;
    return -1;
}

/* Calls set() for each parameter in a flag's comma-separated list. */
static void each_param(struct fn *fn, const char *flag, char *list, void (*set)(struct param *))
{
    char *save;
    for (char *a = strtok_r(list, ",", &save); a; a = strtok_r(NULL, ",", &save)) {
        int i = find_param(fn, a, strlen(a));
        if (i < 0)
            die("%s=%s: not a parameter", flag, a);
        set(&fn->params[i]);
    }
}

static void set_kept(struct param *p)
{
    p->kept = FX_KEPT;
}

static void set_dropped(struct param *p)
{
    p->kept = FX_DROPPED;
}

static void set_nullable(struct param *p)
{
    p->nullable = 1;
}

static void set_checked(struct param *p)
{
    if (!p->length)
        die("checked=%s: no size depends on it", p->name);
    p->length = 0;
}

static void parse_wide(struct fn *fn, const char *name)
{
    fn->rows = find_param(fn, name, strlen(name));
    if (fn->rows < 0 || (strcmp(fn->params[fn->rows].kind, "FX_INT") != 0 &&
                         strcmp(fn->params[fn->rows].kind, "FX_UINT") != 0))
        die("wide=%s: not an integer parameter", name);
    fn->flags |= FX_WIDE;
}

static void parse_act(struct fn *fn, const char *name)
{
    int act = find_word(act_names, name);
    if (act < 1)
        die("act=%s: unknown act (FX_ACTS in proto/table.h)", name);
    fn->act = (enum fx_act)act;
}

static void parse_checks(struct fn *fn, char *list)
{
    char *save;
    for (char *a = strtok_r(list, ",", &save); a; a = strtok_r(NULL, ",", &save)) {
        int i = find_word(check_names, a);
        if (i < 0)
            die("check=%s: unknown check (FX_SCALAR_CHECKS and FX_ARRAY_CHECKS in proto/table.h)",
                a);
        fn->checks |= 1u << i;
    }
}

void parse_flag(struct fn *fn, char *w)
{
    char *eq = strchr(w, '=');
    if (!eq) {
        int i = find_word(flag_names, w);
        if (i < 0 || i == FX_BIT_FORK || i == FX_BIT_COMPOSED) /* written since=fork and made=V */
            die("unknown flag '%s'", w);
        fn->flags |= 1u << i;
        return;
    }
    *eq++ = '\0';
    if (strcmp(w, "since") == 0 && strcmp(eq, "fork") == 0) {
        fn->since = copy(eq, strlen(eq));
        fn->flags |= FX_FORK;
    } else if (strcmp(w, "since") == 0) {
        fn->since = release(eq);
    } else if (strcmp(w, "until") == 0) {
        fn->until = release(eq);
    } else if (strcmp(w, "made") == 0) {
        fn->made = release(eq);
        fn->flags |= FX_COMPOSED;
    } else if (strcmp(w, "unless") == 0) {
        fn->unless = copy(eq, strlen(eq));
    } else if (strcmp(w, "wide") == 0) {
        parse_wide(fn, eq);
    } else if (strcmp(w, "act") == 0) {
        parse_act(fn, eq);
    } else if (strcmp(w, "check") == 0) {
        parse_checks(fn, eq);
    } else if (strcmp(w, "keep") == 0) {
        each_param(fn, w, eq, set_kept);
    } else if (strcmp(w, "drop") == 0) {
        each_param(fn, w, eq, set_dropped);
    } else if (strcmp(w, "null") == 0) {
        each_param(fn, w, eq, set_nullable);
    } else if (strcmp(w, "checked") == 0) {
        each_param(fn, w, eq, set_checked);
    } else {
        die("unknown flag '%s='", w);
    }
}

/* --- checks of a function --- */

/* The code behind some flags and acts finds the parameters by position or by name: check them. */
static void expect_shape(const struct fn *fn)
{
    static const struct {
        unsigned flag;
        enum fx_act act;
        const char *kinds[6], *names;
    } shapes[] = {
        {FX_JOIN, 0, {"FX_HANDLE", "FX_INT", "FX_ARRAY"}, "index, n, x[, ids]"},
        {FX_QUERIES,
         0,
         {"FX_HANDLE", "FX_INT", "FX_ARRAY", "FX_INT", "FX_ARRAY", "FX_ARRAY"},
         "index, n, x, k, distances, labels"},
        {FX_FACTORY, 0, {"FX_OUT_HANDLE", "FX_INT", "FX_STRING"}, "p_index, d, description"},
        {0, FX_ACT_search, {"FX_HANDLE"}, "x k labels"},
        {0, FX_ACT_params, {"FX_HANDLE"}, "x k labels params"},
        {0, FX_ACT_range, {"FX_HANDLE"}, "x result"},
    };
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        if (!(fn->flags & shapes[s].flag) && (shapes[s].flag || fn->act != shapes[s].act))
            continue;
        for (int i = 0; i < 6 && shapes[s].kinds[i]; i++)
            if (i >= fn->nparams || strcmp(fn->params[i].kind, shapes[s].kinds[i]) != 0)
                die("%s%s is for functions of (%s)", shapes[s].flag ? "" : "act=",
                    shapes[s].flag ? flag_names[__builtin_ctz(shapes[s].flag)]
                                   : act_names[shapes[s].act],
                    shapes[s].names);
        for (const char *n = shapes[s].names; !shapes[s].flag && *n;) {
            size_t len = strcspn(n, " ");
            if (find_param(fn, n, len) < 0)
                die("act=%s: expected a parameter called '%.*s'", act_names[fn->act], (int)len, n);
            n += len + (n[len] == ' ');
        }
    }
}

/* The flags must say who frees the object that a function returns: the prototype does not. */
static void expect_owner(const struct fn *fn)
{
    unsigned owner = fn->flags & (FX_NEW | FX_WHOLE | FX_BORROW | FX_CAST);
    int makes = strcmp(fn->ret.kind, "FX_HANDLE") == 0;
    for (int i = 0; i < fn->nparams; i++)
        makes |= strcmp(fn->params[i].kind, "FX_OUT_HANDLE") == 0;
    if (makes && (!owner || owner & (owner - 1)))
        die("returns an object, so expected one of the flags new, whole, borrow and cast");
    if (!makes && fn->flags & (FX_NEW | FX_WHOLE | FX_BORROW | FX_CAST | FX_RENEW | FX_HOLLOW))
        die("has a flag about the object that it returns, but returns none");
}

static void expect_sizes(const struct fn *fn)
{
    if (fn->ret.is_array_like && !fn->ret.nprog)
        die("return: an array needs a size in the third column");
    for (int i = 0; i < fn->nparams; i++) {
        const struct param *p = &fn->params[i];
        if (strcmp(p->kind, "FX_OPAQUE") == 0)
            die("%s: '%s' cannot be sent; flag the function custom or process", p->name, p->ctype);
        if ((p->is_array_like || strcmp(p->kind, "FX_HANDLES") == 0) && !p->nprog && p->count < 0 &&
            strcmp(p->kind, "FX_COUNT") != 0)
            die("%s: an array needs a size in the third column", p->name);
    }
}

void expect_consistent(const struct table *t, const struct fn *fn)
{
    if (!fn->since)
        die("since= is missing");
    if (t->nreleases && !(fn->flags & FX_FORK) &&
        !at_most(fn->since, t->releases[t->nreleases - 1]))
        die("since=%s is later than the last release of the table, %s", fn->since,
            t->releases[t->nreleases - 1]);
    if (fn->flags & (FX_SERVER | FX_CLIENT) && !(fn->flags & FX_CUSTOM))
        die("the flags server and client are for custom functions");
    if (!(fn->flags & (FX_CUSTOM | FX_PROCESS | FX_UNSIZED)))
        expect_sizes(fn);
    if (!(fn->flags & (FX_CUSTOM | FX_PROCESS)))
        expect_owner(fn);
    expect_shape(fn);
}
