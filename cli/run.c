/* SPDX-License-Identifier: Apache-2.0 */
/* faissx run: sets the environment that redirects a program's libfaiss_c, and executes it. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

/* Finds the folder of the stand-in libfaiss_c.so, relative to this program: ../faissx in a build,
 * ../lib/faissx or similar in an installation, which may have been moved; or where it was
 * installed. Returns 0, or -1 after a message. */
static int find_stand_in(char folder[PATH_MAX])
{
    static const char *const places[] = {"../faissx",
                                         "../lib/faissx",
                                         "../lib/x86_64-linux-gnu/faissx",
                                         "../lib/aarch64-linux-gnu/faissx",
                                         "../lib64/faissx",
                                         FAISSX_LIBDIR "/faissx"};
    char self[PATH_MAX], path[PATH_MAX + 64];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0)
        return -1;
    self[n] = '\0';
    *strrchr(self, '/') = '\0';
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        int absolute = places[i][0] == '/';
        snprintf(path, sizeof path, "%s%s%s/libfaiss_c.so", absolute ? "" : self,
                 absolute ? "" : "/", places[i]);
        if (access(path, R_OK) == 0 && realpath(path, folder)) {
            *strrchr(folder, '/') = '\0';
            return 0;
        }
    }
    fprintf(stderr,
            "faissx run: found no faissx/libfaiss_c.so in %s/.., its lib folders, or " FAISSX_LIBDIR
            "\n",
            self);
    return -1;
}

/* Adds `value` to the list in variable `name`, at the beginning or the end.  Skips a value that the
 * list has already, since `faissx run` may run another `faissx run`. */
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

static int run(const struct cli_server *s, char **operands)
{
    char folder[PATH_MAX], library[PATH_MAX + 32], audit[PATH_MAX + 32], python[PATH_MAX + 64];
    char package[PATH_MAX + 32];
    if (find_stand_in(folder) != 0)
        return CLI_FAILED;
    snprintf(library, sizeof library, "%s/libfaiss_c.so", folder);
    snprintf(audit, sizeof audit, "%s/libfaissx_audit.so", folder);
    /* A folder with a package faiss, before an installed one. */
    snprintf(python, sizeof python, "%s/python/faissx_c/as_faiss", folder);
    /* The package under its own name, which a pickled object names. */
    snprintf(package, sizeof package, "%s/python", folder);
    /* Append to LD_PRELOAD: a library in it, such as a sanitizer's, may have to come first. */
    if (setenv("FAISSX_SERVER", s->server, 1) || (s->key && setenv("FAISSX_API_KEY", s->key, 1)) ||
        (s->tenant && setenv("FAISSX_TENANT_ID", s->tenant, 1)) ||
        (s->curve_server && setenv("FAISSX_CURVE_SERVER_KEY", s->curve_server, 1)) ||
        (s->curve_file && setenv("FAISSX_CURVE_KEY_FILE", s->curve_file, 1)) ||
        (s->verbose && setenv("FAISSX_VERBOSE", "1", 1)) || add("LD_PRELOAD", library, 0) ||
        add("LD_AUDIT", audit, 0) || add("LD_LIBRARY_PATH", folder, 1) ||
        (access(python, R_OK) == 0 &&
         (add("PYTHONPATH", python, 1) || add("PYTHONPATH", package, 0)))) {
        fputs("faissx run: out of memory\n", stderr);
        return CLI_FAILED;
    }
    execvp(operands[0], operands);
    fprintf(stderr, "faissx run: cannot run '%s': %s\n", operands[0], strerror(errno));
    return errno == ENOENT ? CLI_NOT_FOUND : CLI_CANNOT_RUN;
}

const struct cli_command cli_run = {
    "run",
    "[--] PROGRAM [ARGUMENT]...",
    1,
    -1,
    "run a program with its FAISS indexes on a server",
    "Runs PROGRAM, unchanged, with its FAISS indexes on a server.  Wherever the program, or\n"
    "a program that it starts, loads libfaiss_c.so or one of its variants, by name or by\n"
    "path, it gets the library that forwards the calls.  If a real FAISS is loaded all the\n"
    "same, a message on stderr names it.  In a Python program, `import faiss` imports a module\n"
    "on top of that library, though FAISS's own may be installed.\n\n"
    "The exit status is that of PROGRAM; 127 if PROGRAM is not found, 126 if it cannot be\n"
    "run, 2 if the command line is wrong.\n",
    run};
