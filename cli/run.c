/* SPDX-License-Identifier: Apache-2.0 */
/* faissx run PROGRAM: the environment that makes a FAISS program a remote one. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

static const char help[] =
    "usage: faissx run [OPTION]... [--] PROGRAM [ARGUMENT]...\n\n"
    "Runs PROGRAM, unchanged, with its FAISS indexes on a server: the library that\n"
    "stands in for libfaiss_c.so is preloaded and first on the library path, and\n"
    "whatever else the program opens as libfaiss_c, by any path and as any of its\n"
    "variants, is that library, too.  Should it map a real FAISS all the same, that is\n"
    "said on stderr.\n\n"
    "  --server ADDRESS  tcp://HOST:PORT or ipc://PATH (FAISSX_SERVER, or\n"
    "                    " FX_DEFAULT_SERVER ")\n"
    "  --api-key KEY     (FAISSX_API_KEY)\n"
    "  --tenant NAME     (FAISSX_TENANT_ID)\n"
    "  -v, --verbose     name on stderr what is redirected\n";

/* The stand-in lies in the folder above (a build) or in ../lib (installed). */
static int find_stand_in(char folder[PATH_MAX])
{
    static const char *const places[] = {"../faissx", "../lib/faissx",
                                         "../lib/x86_64-linux-gnu/faissx",
                                         "../lib/aarch64-linux-gnu/faissx", "../lib64/faissx"};
    char self[PATH_MAX], path[PATH_MAX + 64];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0)
        return -1;
    self[n] = '\0';
    *strrchr(self, '/') = '\0';
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        snprintf(path, sizeof path, "%s/%s/libfaiss_c.so", self, places[i]);
        if (access(path, R_OK) == 0 && realpath(path, folder)) {
            *strrchr(folder, '/') = '\0';
            return 0;
        }
    }
    fprintf(stderr, "faissx: no stand-in libfaiss_c.so beside %s or in its lib folder\n", self);
    return -1;
}

/* Join `value` and the list that the variable held: before it, or behind.  Once is enough
 * where `faissx run` runs another. */
static int add(const char *name, const char *value, int before)
{
    const char *old = getenv(name);
    char *both = NULL;
    size_t len = strlen(value);
    if (!old)
        old = "";
    for (const char *p = old; (p = strstr(p, value)); p += len)
        if ((p == old || strchr(": ", p[-1])) && (!p[len] || strchr(": ", p[len])))
            return 0;
    if (asprintf(&both, "%s%s%s", before ? value : old, *old ? ":" : "", before ? old : value) < 0)
        return -1;
    int rc = setenv(name, both, 1);
    free(both);
    return rc;
}

int cli_run(int argc, char **argv)
{
    char folder[PATH_MAX], library[PATH_MAX + 32], audit[PATH_MAX + 32];
    struct cli_server s;
    int first = cli_options(argc, argv, &s, help);
    if (first < 0)
        return 2;
    if (first == argc) {
        fputs(help, stderr);
        return 2;
    }
    if (find_stand_in(folder) != 0)
        return 1;
    snprintf(library, sizeof library, "%s/libfaiss_c.so", folder);
    snprintf(audit, sizeof audit, "%s/libfaissx_audit.so", folder);
    /* What is preloaded already may insist on being first, as sanitizers do. */
    if (setenv("FAISSX_SERVER", s.server, 1) || (s.key && setenv("FAISSX_API_KEY", s.key, 1)) ||
        (s.tenant && setenv("FAISSX_TENANT_ID", s.tenant, 1)) ||
        (s.verbose && setenv("FAISSX_VERBOSE", "1", 1)) || add("LD_PRELOAD", library, 0) ||
        add("LD_AUDIT", audit, 0) || add("LD_LIBRARY_PATH", folder, 1)) {
        fputs("faissx: out of memory\n", stderr);
        return 1;
    }
    execvp(argv[first], argv + first);
    fprintf(stderr, "faissx: cannot run %s: %s\n", argv[first], strerror(errno));
    return errno == ENOENT ? 127 : 126;
}
