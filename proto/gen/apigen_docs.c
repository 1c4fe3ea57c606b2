/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the output for people: the public header and the support matrix. */
#include <stdlib.h>
#include <string.h>

#include "apigen.h"

static const char *c_struct(const struct table *t, int cls)
{
    while (t->classes[cls].alias)
        cls = t->classes[cls].base;
    return t->classes[cls].name;
}

/* --- the public header --- */

/* The guards of the headers of FAISS and its forks.  faiss_c.h's is missing on purpose: a program
 * may need its macros, and its types may be declared twice. */
static const char *const faiss_headers[] = {
    "FAISS_AUTO_TUNE_C_H",
    "FAISS_AUX_INDEX_STRUCTURES_C_H",
    "FAISS_CLONE_INDEX_C_H",
    "FAISS_CLUSTERING_C_H",
    "FAISS_DEVICE_UTILS_C_H",
    "FAISS_DISTANCES_C_H",
    "FAISS_ERROR_C_H",
    "FAISS_GPU_AUTO_TUNE_C_H",
    "FAISS_GPU_CLONER_OPTIONS_C_H",
    "FAISS_GPU_INDEX_C_H",
    "FAISS_GPU_INDICES_OPTIONS_C_H",
    "FAISS_GPU_RESOURCES_C_H",
    "FAISS_INDEX_BINARY_C_H",
    "FAISS_INDEX_BINARY_FLAT_C_H",
    "FAISS_INDEX_BINARY_IVF_C_H",
    "FAISS_INDEX_C_H",
    "FAISS_INDEX_FACTORY_C_H",
    "FAISS_INDEX_FLAT_C_H",
    "FAISS_INDEX_HNSW_C_H",
    "FAISS_INDEX_IO_C_H",
    "FAISS_INDEX_IVF_C_H",
    "FAISS_INDEX_IVF_FLAT_C_H",
    "FAISS_INDEX_PRETRANSFORM_C_H",
    "FAISS_INDEX_SCALAR_QUANTIZER_C_H",
    "FAISS_IO_C_H",
    "FAISS_STANDARD_GPURESOURCES_C_H",
    "FAISS_UTILS_C_H",
    "FAISS_VECTOR_TRANSFORM_C_H",
    "INDEXREPLICAS_C_H",
    "INDEXSHARDS_C_H",
    "INDEX_LSH_C_H",
    "METAINDEXES_C_H",
    "FAISS_INDEX_EX_C_H",
    "FAISS_INDEX_IO_C_EX_H",
    "FAISS_INDEX_IVF_EX_C_H",
    "FAISS_INDEX_BINARY_C_EX_H",
    "FAISS_INDEX_BINARY_IVF_C_EX_H",
    "FAISS_GPU_INDEX_C_EX_H",
    "FAISS_GPU_INDEX_IVF_C_H",
    "FAISS_GPU_INDEX_IVF_C_EX_H",
    "FAISS_GPU_MEMORY_ESTIMATE_C_H",
    "FAISS_GPU_MEMORY_POOL_C_H",
};

static void begin_unless(const char *unless, FILE *f)
{
    if (unless)
        fprintf(f, "#ifndef %s\n", unless);
}

static void end_unless(const char *unless, FILE *f)
{
    if (unless)
        fputs("#endif\n", f);
}

void emit_header(const struct table *t, const char *types_path, FILE *f)
{
    char buf[512];
    size_t n;
    FILE *types = fopen(types_path, "r");
    if (!types) {
        perror(types_path);
        exit(1);
    }
    if (!t->nreleases)
        die("the table has no line 'release'");
    fputs("/* SPDX-License-Identifier: Apache-2.0 */\n"
          "/*\n"
          " * The C API of FAISS, all releases from v",
          f);
    fprintf(f, "%s to v%s", t->first, t->releases[t->nreleases - 1]);
    fputs(" and the blevesearch\n"
          " * fork, in one header for C and C++.  Generated from proto/faiss.api; a check\n"
          " * of `make check` fails when the two differ.  docs/remote.md lists everything in\n"
          " * which a call on a server differs from a call in process.\n"
          " *\n"
          " * Shapes: x and xq are n rows of d floats (binary indexes: n rows of d / 8\n"
          " * bytes), one after the other; distances and labels are n rows of k.  Arrays\n"
          " * belong to the caller and must stay valid until the call returns.\n"
          " *\n"
          " * Errors: a function that returns int returns 0 or a FaissErrorCode, unless its\n"
          " * name is that of a value.  The others return 0 or NULL on failure.\n"
          " * faiss_get_last_error() is the text of the calling thread's last error, valid\n"
          " * until its next one.  A function that the loaded libfaiss_c lacks fails with -2,\n"
          " * and the text names the function, the library and its version.\n"
          " *\n"
          " * Ownership: each object that a function creates has to be freed with the\n"
          " * faiss_*_free of its class.  Pointers into another object end with that object.\n"
          " *\n"
          " * FAISS's own headers, of any release from 1.7.1 on, may be included before or\n"
          " * after this one.  Included after it, they declare nothing.  Included before it,\n"
          " * their types are used, so an old release's enumerations and structures keep\n"
          " * their size.\n"
          " */\n"
          "#ifndef FAISS_C_COMPAT_H\n#define FAISS_C_COMPAT_H\n\n"
          "#include <stddef.h>\n#include <stdint.h>\n#include <stdio.h>\n\n"
          "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n",
          f);
    while ((n = fread(buf, 1, sizeof buf, types)) > 0)
        fwrite(buf, 1, n, f);
    fclose(types);
    fputs("\n/* Objects.  An index of any kind is a FaissIndex *. */\n", f);
    for (int i = 0; i < t->nclasses; i++) {
        begin_unless(t->classes[i].unless, f);
        fprintf(f, "typedef struct Faiss%s_H Faiss%s;\n", c_struct(t, i), t->classes[i].name);
        end_unless(t->classes[i].unless, f);
    }
    fputs("\n/* Functions.  The comment above each names the releases of FAISS that have it. */\n",
          f);
    EACH_FN(t, fn)
    {
        fprintf(f, "\n/* %s%s%s%s%s */\n", strcmp(fn->since, "fork") == 0 ? "" : "v", fn->since,
                fn->until ? " to v" : " ", fn->until ? fn->until : "and later",
                fn->flags & FX_GPU ? ", GPU" : "");
        begin_unless(fn->unless, f);
        emit_prototype(fn, "", fn->name, f);
        fputs(";\n", f);
        end_unless(fn->unless, f);
    }
    fputs("\n#ifdef __cplusplus\n}\n#endif\n\n"
          "/* Everything is declared: FAISS's own headers declare nothing from here on. */\n",
          f);
    for (size_t i = 0; i < sizeof faiss_headers / sizeof *faiss_headers; i++)
        fprintf(f, "#ifndef %s\n#define %s\n#endif\n", faiss_headers[i], faiss_headers[i]);
    fputs("\n#endif\n", f);
}

/* --- the support matrix --- */

static const char *remote_status(const struct fn *fn, const char *release)
{
    int there = !(fn->flags & FX_FORK) && !(fn->flags & FX_NEVER) && at_most(fn->since, release) &&
                (!fn->until || at_most(release, fn->until));
    if (fn->flags & FX_PROCESS)
        return "no: means something only inside one process";
    if (fn->flags & FX_UNSIZED)
        return "no: the API does not tell the size of its arrays";
    if (there)
        return fn->flags & FX_GPU ? "yes, with a GPU library" : "yes";
    if (fn->made && at_most(fn->made, release))
        return fn->flags & FX_CUSTOM ? "yes: in the client" : "yes: from other functions";
    return fn->flags & FX_NEVER ? "no: no release exports it" : "no: not in that release";
}

static const char *local_status(const struct fn *fn)
{
    if (fn->flags & FX_CLIENT)
        return "yes";
    if (fn->flags & FX_NEVER)
        return "no: no release exports it";
    return fn->flags & FX_FORK ? "with a fork that has it" : "yes";
}

void emit_matrix(const struct table *t, FILE *f)
{
    fputs("| function | FAISS | local |", f);
    for (int i = 0; i < t->nreleases; i++)
        fprintf(f, " remote, %s |", t->releases[i]);
    fputs("\n|---|---|---|", f);
    for (int i = 0; i < t->nreleases; i++)
        fputs("---|", f);
    fputc('\n', f);
    EACH_FN(t, fn)
    {
        fprintf(f, "| `%s` | %s%s%s | %s |", fn->name, fn->since, fn->until ? " to " : "",
                fn->until ? fn->until : (fn->flags & FX_FORK ? "" : "+"), local_status(fn));
        for (int i = 0; i < t->nreleases; i++)
            fprintf(f, " %s |", remote_status(fn, t->releases[i]));
        fputc('\n', f);
    }
}
