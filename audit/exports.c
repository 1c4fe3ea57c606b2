/* SPDX-License-Identifier: Apache-2.0 */
#include "exports.h"

#include <stddef.h>
#include <stdint.h>

struct tables {
    const ElfW(Sym) * symbols;
    const char *strings;
    const uint32_t *gnu;  /* DT_GNU_HASH, or NULL */
    const uint32_t *sysv; /* DT_HASH, or NULL */
};

int fx_same(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

static const ElfW(Sym) * is_it(const struct tables *t, uint32_t i, const char *name)
{
    const ElfW(Sym) *s = &t->symbols[i];
    return s->st_shndx != SHN_UNDEF && fx_same(t->strings + s->st_name, name) ? s : NULL;
}

static const ElfW(Sym) * in_gnu_table(const struct tables *t, const char *name)
{
    const uint32_t nbuckets = t->gnu[0], first = t->gnu[1], nwords = t->gnu[2];
    const uint32_t *buckets =
        (const uint32_t *)((const ElfW(Addr) *)(const void *)(t->gnu + 4) + nwords);
    const uint32_t *chain = buckets + nbuckets;
    uint32_t hash = 5381;
    for (const char *c = name; *c; c++)
        hash = hash * 33 + (unsigned char)*c;
    uint32_t i = nbuckets ? buckets[hash % nbuckets] : 0;
    if (i < first)
        return NULL;
    for (;; i++) {
        const ElfW(Sym) *s = (chain[i - first] | 1) == (hash | 1) ? is_it(t, i, name) : NULL;
        if (s || chain[i - first] & 1) /* the last of its bucket */
            return s;
    }
}

static const ElfW(Sym) * in_sysv_table(const struct tables *t, const char *name)
{
    const uint32_t nbuckets = t->sysv[0];
    const uint32_t *buckets = t->sysv + 2, *chain = buckets + nbuckets;
    uint32_t hash = 0;
    for (const char *c = name; *c; c++) {
        hash = (hash << 4) + (unsigned char)*c;
        hash ^= (hash >> 24) & 0xf0;
        hash &= 0x0fffffff;
    }
    const ElfW(Sym) *s = NULL;
    for (uint32_t i = nbuckets ? buckets[hash % nbuckets] : 0; i != 0 && !s; i = chain[i])
        s = is_it(t, i, name);
    return s;
}

/* An address in the dynamic section.  Most loaders have already added the load address to these,
 * but not for every object. */
static const void *address(const struct link_map *map, ElfW(Addr) p)
{
    return (const void *)(p < map->l_addr ? p + map->l_addr : p);
}

const void *fx_exported(const struct link_map *map, const char *name)
{
    struct tables t = {0};
    for (const ElfW(Dyn) *d = map->l_ld; d && d->d_tag != DT_NULL; d++) {
        const void *p = address(map, d->d_un.d_ptr);
        if (d->d_tag == DT_SYMTAB)
            t.symbols = p;
        else if (d->d_tag == DT_STRTAB)
            t.strings = p;
        else if (d->d_tag == DT_GNU_HASH)
            t.gnu = p;
        else if (d->d_tag == DT_HASH)
            t.sysv = p;
    }
    if (!t.symbols || !t.strings)
        return NULL;
    const ElfW(Sym) *s = t.gnu ? in_gnu_table(&t, name) : t.sysv ? in_sysv_table(&t, name) : NULL;
    return s ? (const void *)(map->l_addr + s->st_value) : NULL;
}
