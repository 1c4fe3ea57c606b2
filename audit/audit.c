/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An audit library: LD_AUDIT makes the dynamic loader load it (see rtld-audit(7)) into a program
 * whose FAISS is on a server.  Every search for libfaiss_c, by name or by path, then finds the
 * stand-in in the folder of this library.  If a real FAISS is mapped nevertheless, it reports that.
 *
 *     FAISSX_SERVER   unset or empty: this library does nothing
 *     FAISSX_VERBOSE  1: reports each redirection on stderr; 0 or unset: does not
 *
 * The shim in local mode and faissx-server need the real library.  They export a variable that
 * holds the id of the thread that is opening it (proto/library.h); that thread is not redirected.
 *
 * Threads: the loader calls these functions with its lock held.
 *
 * It uses no other library, not even the C library: the loader would map a second copy for it,
 * which takes static TLS, and some programs have little of that left.
 */
#include <limits.h>
#include <link.h>
#include <stddef.h>
#include <stdint.h>

#include "exports.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT unsigned la_version(unsigned version);
EXPORT char *la_objsearch(const char *name, uintptr_t *cookie, unsigned flag);
EXPORT unsigned la_objopen(struct link_map *map, Lmid_t namespace, uintptr_t *cookie);
EXPORT unsigned la_objclose(uintptr_t *cookie);

/* The names of libfaiss_c: one before release 1.11, and from then on one per instruction set. */
static const char *const names[] = {"libfaiss_c.so", "libfaiss_c_avx2.so", "libfaiss_c_avx512.so",
                                    "libfaiss_c_avx512_spr.so", "libfaiss_c_sve.so"};

static char stand_in[PATH_MAX]; /* if empty, this library does nothing */
static const char *program = "?";
static int verbose;

static char found[PATH_MAX]; /* the first real FAISS that was mapped */

/* FAISSx's own objects in this process, and the variable faissx_opens_faiss of each. */
static struct {
    uintptr_t object;
    const int *opening;
} ours[8];
enum { OURS = sizeof ours / sizeof *ours };

/* --- without a C library --- */

#if defined(__x86_64__)
static long system_call(long nr, long a, long b, long c)
{
    long ret;
    __asm__ volatile("syscall"
                     : "=a"(ret)
                     : "a"(nr), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return ret;
}
enum { NR_WRITE = 1, NR_GETPID = 39, NR_GETTID = 186 };
#elif defined(__aarch64__)
static long system_call(long nr, long a, long b, long c)
{
    register long x8 __asm__("x8") = nr, x0 __asm__("x0") = a, x1 __asm__("x1") = b,
                     x2 __asm__("x2") = c;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
    return x0;
}
enum { NR_WRITE = 64, NR_GETPID = 172, NR_GETTID = 178 };
#else /* other processors: with one */
#include <sys/syscall.h>
#include <unistd.h>
#define system_call syscall
enum { NR_WRITE = SYS_write, NR_GETPID = SYS_getpid, NR_GETTID = SYS_gettid };
#endif

static const char *base_of(const char *path)
{
    const char *base = path;
    for (; *path; path++)
        if (*path == '/')
            base = path + 1;
    return base;
}

/* The rest of `s` after `prefix`, or NULL if it does not start with it. */
static const char *after(const char *s, const char *prefix)
{
    for (; *prefix; prefix++, s++)
        if (*s != *prefix)
            return NULL;
    return s;
}

/* Append `s` after the first `used` bytes of a buffer, cutting it to leave the last byte free.
 * Returns the new number of bytes. */
static size_t append(char *buf, size_t size, size_t used, const char *s)
{
    for (; *s && used + 1 < size; s++)
        buf[used++] = *s;
    buf[used] = '\0';
    return used;
}

/* Write "faissx: PROGRAM[PID] ..." to stderr, in one call so that lines of several processes do not
 * mix. */
static void say(const char *a, const char *b, const char *c, const char *d)
{
    const char *parts[] = {a, b, c, d};
    char line[3 * PATH_MAX], digits[24];
    size_t n = append(line, sizeof line, 0, "faissx: ");
    char *p = digits + sizeof digits - 1;
    *p = '\0';
    for (long pid = system_call(NR_GETPID, 0, 0, 0); pid > 0; pid /= 10)
        *--p = (char)('0' + pid % 10);
    n = append(line, sizeof line, n, base_of(program));
    n = append(line, sizeof line, n, "[");
    n = append(line, sizeof line, n, p);
    n = append(line, sizeof line, n, "] ");
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        n = append(line, sizeof line, n, parts[i]);
    line[n++] = '\n';
    system_call(NR_WRITE, 2, (long)line, (long)n);
}

/* --- start and end --- */

/* Find the stand-in in the folder from which this library was loaded. */
static void find_stand_in(const char *list)
{
    while (*list) {
        size_t n = 0;
        while (list[n] && list[n] != ':')
            n++;
        if (n < sizeof stand_in) {
            append(stand_in, n + 1, 0, list);
            char *base = stand_in + (base_of(stand_in) - stand_in);
            if (base > stand_in && fx_same(base, "libfaissx_audit.so")) {
                append(stand_in, sizeof stand_in, (size_t)(base - stand_in), names[0]);
                return;
            }
        }
        list += n + (list[n] == ':');
    }
    stand_in[0] = '\0';
}

/* The loader passes main()'s arguments to constructors. */
__attribute__((constructor)) static void start(int argc, char **argv, char **envp)
{
    const char *server = NULL, *audit = NULL, *value;
    for (; envp && *envp; envp++) {
        if ((value = after(*envp, "FAISSX_SERVER=")))
            server = value;
        else if ((value = after(*envp, "LD_AUDIT=")))
            audit = value;
        else if ((value = after(*envp, "FAISSX_VERBOSE=")))
            verbose = *value && !(value[0] == '0' && !value[1]);
    }
    if (argc > 0 && argv[0])
        program = argv[0];
    if (server && *server && audit)
        find_stand_in(audit);
}

__attribute__((destructor)) static void end(void)
{
    if (found[0])
        say("ran with a real FAISS: what it did with ", found, " was done in the process", "");
}

unsigned la_version(unsigned version)
{
    if (!stand_in[0])
        return 0;
    return version < LAV_CURRENT ? version : LAV_CURRENT;
}

/* --- searches --- */

/* Is it libfaiss_c.so or one of its variants, perhaps followed by a version? */
static int is_libfaiss_c(const char *path)
{
    const char *base = base_of(path);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *rest = after(base, names[i]);
        if (rest && (*rest == '\0' || *rest == '.'))
            return 1;
    }
    return 0;
}

/* Is it a library of FAISS, including those behind libfaiss_c: libfaiss.so, libfaiss_avx2.so ...?
 */
static int is_libfaiss(const char *path)
{
    const char *rest = after(base_of(path), "libfaiss");
    return rest && (*rest == '.' || *rest == '_');
}

/* Is this thread opening the real library on purpose? */
static int is_meant(void)
{
    for (size_t i = 0; i < OURS; i++) {
        int thread = ours[i].opening ? __atomic_load_n(ours[i].opening, __ATOMIC_RELAXED) : 0;
        if (thread && thread == system_call(NR_GETTID, 0, 0, 0))
            return 1;
    }
    return 0;
}

char *la_objsearch(const char *name, uintptr_t *cookie, unsigned flag)
{
    (void)cookie;
    if (flag != LA_SER_ORIG || !is_libfaiss_c(name) || fx_same(name, stand_in) || is_meant())
        return (char *)name;
    if (verbose)
        say("asked for ", name, " and gets ", stand_in);
    return stand_in;
}

unsigned la_objopen(struct link_map *map, Lmid_t namespace, uintptr_t *cookie)
{
    const char *path = map->l_name && *map->l_name ? map->l_name : program;
    const void *opening;
    (void)namespace;
    if (after(path, "linux-")) /* the kernel's vDSO */
        return 0;
    if ((opening = fx_exported(map, "faissx_opens_faiss"))) {
        for (size_t i = 0; i < OURS; i++) {
            if (!ours[i].opening) {
                ours[i].object = *cookie;
                ours[i].opening = opening;
                break;
            }
        }
        if (verbose && is_libfaiss_c(path))
            say("has ", path, " for libfaiss_c.so", "");
    } else if ((is_libfaiss(path) || fx_exported(map, "faiss_Index_search")) && !is_meant()) {
        if (!found[0] || verbose)
            say("maps a real FAISS: what it does with ", path, " is done in the process", "");
        if (!found[0])
            append(found, sizeof found, 0, path);
    }
    return 0;
}

unsigned la_objclose(uintptr_t *cookie)
{
    for (size_t i = 0; i < OURS; i++)
        if (ours[i].object == *cookie)
            ours[i].opening = NULL;
    return 0;
}
