/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/admin/admin.h"

static bool is_note(enum fxs_fault_kind kind)
{
    return kind == FXS_NOTE_ASIDE || kind == FXS_NOTE_UNUSED;
}

static void set_names(struct fxs_fault *to, const char *const *names, uint32_t n)
{
    char **copy = calloc(n + 1u, sizeof *copy);
    to->names = (const char *const *)copy;
    to->nnames = 0;
    for (uint32_t i = 0; copy && i < n; i++)
        if (fxa_is_name(names[i]))
            copy[to->nnames++] = strdup(names[i]);
    if (copy && n && !to->nnames)
        copy[to->nnames++] = strdup(FXA_UNNAMED);
}

void fxa_fault(void *ctx, const struct fxs_fault *f)
{
    struct fxa_faults *l = ctx;
    if (l->n == l->cap) {
        size_t cap = l->cap * 2 + 16;
        void *more = realloc(l->list, cap * sizeof *l->list);
        if (!more)
            return;
        l->list = more;
        l->cap = cap;
    }
    struct fxs_fault *to = &l->list[l->n++].f;
    *to = *f;
    to->file = strdup(f->file ? f->file : "");
    to->text = strdup(f->text ? f->text : "");
    set_names(to, f->names, f->nnames);
    l->wrong += !is_note(f->kind);
}

void fxa_faults_free(struct fxa_faults *l)
{
    for (size_t i = 0; i < l->n; i++) {
        struct fxs_fault *f = &l->list[i].f;
        free((char *)(uintptr_t)f->file);
        free((char *)(uintptr_t)f->text);
        for (uint32_t k = 0; k < f->nnames; k++)
            free((char *)(uintptr_t)f->names[k]);
        free((void *)(uintptr_t)f->names);
    }
    free(l->list);
    memset(l, 0, sizeof *l);
}

static int name_entry(void *ctx, const struct fxs_entry *e)
{
    struct fxa_faults *l = ctx;
    for (size_t i = 0; i < l->n; i++) {
        struct fxs_fault *f = &l->list[i].f;
        if (f->entry == e->id && !f->nnames) {
            free((void *)(uintptr_t)f->names);
            set_names(f, e->names, e->nnames);
        }
    }
    return 0;
}

void fxa_faults_name(struct fxa_faults *l, const char *dir)
{
    struct fxs_store *s;
    bool missing = false;
    for (size_t i = 0; i < l->n; i++)
        missing |= l->list[i].f.entry && !l->list[i].f.nnames;
    if (!missing || fxs_store_look(&s, dir, NULL) != FXS_STORE_OK)
        return;
    fxs_store_entries(s, name_entry, l, NULL);
    fxs_store_close(s);
}

/* --- printing --- */

static const char *names_of(const struct fxs_fault *f, char *text, size_t size)
{
    size_t n = 0;
    text[0] = 0;
    for (uint32_t i = 0; i < f->nnames && n < size; i++)
        n += (size_t)snprintf(text + n, size - n, "%s'%s'", i ? ", " : "", f->names[i]);
    if (!f->nnames && f->entry)
        snprintf(text, size, "number %" PRIu64 " (its names are not known)", f->entry);
    return text;
}

static void describe(const struct fxs_fault *f, char *text, size_t size)
{
    char names[2048];
    unsigned long long number = (unsigned long long)f->number, n = (unsigned long long)f->count;
    names_of(f, names, sizeof names);
    switch (f->kind) {
    case FXS_FAULT_DATABASE:
        snprintf(text, size, "damaged: %s%s%s", f->text, *names ? "; this affects index " : "",
                 names);
        break;
    case FXS_FAULT_SNAPSHOT:
        snprintf(text, size, "damaged: %s; this affects all of index %s", f->text, names);
        break;
    case FXS_FAULT_RECORDS:
        snprintf(text, size,
                 "damaged: %s; this affects index %s from change %llu on (%llu changes)", f->text,
                 names, number, n);
        break;
    case FXS_FAULT_NAME:
        snprintf(text, size, "damaged: the name %s stands for no index", names);
        break;
    case FXS_NOTE_ASIDE:
        snprintf(text, size, "note: change %llu of index %s was set aside: %s", number, names,
                 f->text);
        break;
    case FXS_NOTE_UNUSED:
        snprintf(text, size, "note: nothing refers to %s", f->file);
        break;
    case FXS_LOST_ENTRY:
        snprintf(text, size, "lost: index %s: %s%s%s", names, f->text, *f->file ? ": " : "",
                 f->file);
        break;
    case FXS_LOST_RECORDS:
        if (n)
            snprintf(text, size, "lost: %llu changes of index %s, from change %llu on: %s", n,
                     names, number, f->text);
        else
            snprintf(text, size, "lost: changes of index %s from number %llu on: %s", names, number,
                     f->text);
        break;
    case FXS_LOST_NAMES:
        if (f->nnames)
            snprintf(text, size, "lost: the names of an index, which is now %s (from %s)", names,
                     f->file);
        else
            snprintf(text, size, "lost: %s", f->text);
        break;
    case FXS_LOST_ANSWERS:
        snprintf(text, size,
                 "lost: %s: such a request may be carried out twice if its client "
                 "sends it again",
                 f->text);
        break;
    case FXS_LOST_NOTE:
        snprintf(text, size, "lost: what index %s was to become: %s", names, f->text);
        break;
    case FXS_USED_OTHER:
        snprintf(text, size, "lost: the newest snapshot of index %s; an older one is used: %s",
                 names, f->file);
        break;
    }
}

static json_t *as_json(const struct fxs_fault *f, const char *text)
{
    static const char *const kinds[] = {
        [FXS_FAULT_DATABASE] = "database", [FXS_FAULT_SNAPSHOT] = "snapshot",
        [FXS_FAULT_RECORDS] = "changes",   [FXS_FAULT_NAME] = "name",
        [FXS_NOTE_ASIDE] = "set-aside",    [FXS_NOTE_UNUSED] = "unused",
        [FXS_LOST_ENTRY] = "lost-index",   [FXS_LOST_RECORDS] = "lost-changes",
        [FXS_LOST_NAMES] = "lost-names",   [FXS_LOST_ANSWERS] = "lost-answers",
        [FXS_LOST_NOTE] = "lost-training", [FXS_USED_OTHER] = "older-snapshot"};
    json_t *o = json_object(), *names = json_array();
    for (uint32_t i = 0; i < f->nnames; i++)
        json_array_append_new(names, json_string(f->names[i]));
    json_object_set_new(o, "kind", json_string(kinds[f->kind]));
    json_object_set_new(o, "file", json_string(f->file));
    json_object_set_new(o, "indexes", names);
    json_object_set_new(o, "from", json_integer((json_int_t)f->number));
    json_object_set_new(o, "changes", json_integer((json_int_t)f->count));
    json_object_set_new(o, "what", json_string(text));
    return o;
}

void fxa_faults_print(const struct fxa *a, const struct fxa_faults *l, json_t *out)
{
    char text[8192];
    json_t *faults = json_array(), *notes = json_array();
    for (size_t i = 0; i < l->n; i++) {
        const struct fxs_fault *f = &l->list[i].f;
        describe(f, text, sizeof text);
        fxa_say(a, "  %s", text);
        json_array_append_new(is_note(f->kind) ? notes : faults, as_json(f, text));
    }
    if (out) {
        json_object_set(out, "faults", faults);
        json_object_set(out, "notes", notes);
    }
    json_decref(faults);
    json_decref(notes);
}
