/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "machine.h"

enum {
    PORT_DEFAULT = 45678,
    LEASE_DEFAULT = 30,
    PENDING_DEFAULT = 1024, /* MiB */
    UNAUTHENTICATED_DEFAULT = 1024,
    THREADS_MAX = 4096
};

static const char help[] =
    "Usage: faissx-server run [OPTION]...\n"
    "Serve FAISS to libfaissx_c.so and other clients over ZeroMQ.\n"
    "\n"
    "  --bind ENDPOINT      where to listen: tcp://HOST:PORT or ipc://PATH; may be given\n"
    "                       several times (default: tcp://127.0.0.1:45678)\n"
    "  --port N             the default endpoint's port; 0 takes a free one\n"
    "  --threads N          worker threads of each tenant's engine (default: number of\n"
    "                       cores)\n"
    "  --library PATH       the real libfaiss_c (default: the best that is found)\n"
    "  --coalesce HOW       searches that wait for the same index are done together: exact,\n"
    "                       with the bits of each alone (default); fast, also where the\n"
    "                       last bits may differ; or off\n"
    "  --lease SECONDS      how long the objects of a client stay that cannot be reached\n"
    "                       any more (default: 30)\n"
    "  --call-limit SECONDS when a call has taken so long its caller gets an error, while the\n"
    "                       call goes on (default: no limit)\n"
    "  --max-pending MIB    requests and replies of one tenant on their way, beyond which\n"
    "                       new requests are refused (default: 1024)\n"
    "  --total-memory MIB   memory of all engines together; a call that needs more fails,\n"
    "                       and its engine goes on (default: 80 % of what the machine or\n"
    "                       its container has)\n"
    "  --memory MIB         memory of each tenant's engine (default: what the others leave\n"
    "                       of the total)\n"
    "  --max-unauthenticated N  connections that have not yet shown an API key; beyond\n"
    "                       that the oldest is closed (default: 1024)\n"
    "  --log-level LEVEL    error, warn, info or debug (default: info)\n"
    "\n"
    "  --auth-file FILE     API keys: a JSON object of \"key\": \"tenant\"\n"
    "  --auth-keys LIST     API keys: key1:tenant1,key2:tenant2; other users of the machine\n"
    "                       can read them in the list of processes\n"
    "  --enable-auth        ask for API keys; giving keys does so too\n"
    "\n"
    "  --help, --version\n"
    "\n"
    "Each tenant is served by a process of its own. Without keys there is one tenant and\n"
    "anybody who reaches the server may use it. Keys and data are not encrypted on the way.\n"
    "\n"
    "Environment: FAISSX_PORT and FAISSX_FAISS_LIBRARY stand in for --port and --library.\n";

const char *fxs_options_help(void)
{
    return help;
}

__attribute__((format(printf, 1, 2))) static int wrong(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("faissx-server: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return -1;
}

static int number(const char *name, const char *text, long min, long max, long *out)
{
    char *end;
    errno = 0;
    long v = strtol(text, &end, 10);
    if (end == text || *end || errno || v < min || v > max)
        return wrong("%s: '%s' is not a number from %ld to %ld", name, text, min, max);
    *out = v;
    return 0;
}

static int cores(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
    return n > 0 ? n : 1;
}

static int check_port(const char *endpoint)
{
    long port;
    const char *colon = strrchr(endpoint, ':');
    if (colon == strchr(endpoint, ':'))
        return wrong("--bind: '%s' has no port; it must be tcp://HOST:PORT", endpoint);
    if (strcmp(colon + 1, "*") == 0)
        return 0;
    return number("--bind", colon + 1, 0, 65535, &port);
}

static int bind_option(struct fxs_options *o, const char *endpoint)
{
    if (strncmp(endpoint, "tcp://", 6) != 0 && strncmp(endpoint, "ipc://", 6) != 0)
        return wrong("--bind: '%s' is neither tcp://HOST:PORT nor ipc://PATH", endpoint);
    if (o->nbinds == FXS_BINDS_MAX)
        return wrong("--bind: '%s' is one more than the %d endpoints that are possible", endpoint,
                     FXS_BINDS_MAX);
    if (strncmp(endpoint, "tcp://", 6) == 0 && check_port(endpoint) != 0)
        return -1;
    o->binds[o->nbinds++] = endpoint;
    return 0;
}

/* What the options said, before it is put together. */
struct given {
    const char *port, *port_name, *keys, *file;
    int auth;
};

static int load_keys(struct fxs_options *o, const struct given *g)
{
    char why[512];
    struct stat st;
    if (g->keys && g->file)
        return wrong("--auth-keys and --auth-file cannot be used together");
    if (!g->auth && !g->keys && !g->file)
        return 0;
    o->auth = fxs_auth_new();
    if (!o->auth)
        return wrong("out of memory");
    if (g->keys && fxs_auth_add_list(o->auth, g->keys, why, sizeof(why)) != 0)
        return wrong("--auth-keys: %s", why);
    if (g->file && fxs_auth_add_file(o->auth, g->file, why, sizeof(why)) != 0)
        return wrong("--auth-file: '%s': %s", g->file, why);
    if (fxs_auth_count(o->auth) == 0)
        return wrong("--enable-auth: there is no API key; give some with --auth-file or "
                     "--auth-keys");
    if (g->file && stat(g->file, &st) == 0 && (st.st_mode & S_IROTH))
        fxs_log(FXS_WARN, "auth", "everybody on this machine can read the keys file=%s", g->file);
    return 0;
}

static int put_together(struct fxs_options *o, const struct given *g)
{
    long port = PORT_DEFAULT;
    if (g->port && number(g->port_name, g->port, 0, 65535, &port) != 0)
        return -1;
    if (o->nbinds && g->port && strcmp(g->port_name, "--port") == 0)
        return wrong("--port: '%s' has no meaning with --bind, which names its port itself",
                     g->port);
    if (!o->nbinds) {
        snprintf(o->default_bind, sizeof(o->default_bind), "tcp://127.0.0.1:%ld", port);
        o->binds[o->nbinds++] = o->default_bind;
    }
    return load_keys(o, g);
}

enum {
    BIND = 256,
    PORT,
    THREADS,
    LIBRARY,
    COALESCE,
    LEASE,
    PENDING,
    MEMORY,
    TOTAL_MEMORY,
    CALL_LIMIT,
    UNAUTHENTICATED,
    LEVEL,
    FILE_,
    KEYS,
    AUTH,
    HELP
};

static const struct option options[] = {
    {"bind", required_argument, NULL, BIND},
    {"port", required_argument, NULL, PORT},
    {"threads", required_argument, NULL, THREADS},
    {"library", required_argument, NULL, LIBRARY},
    {"coalesce", required_argument, NULL, COALESCE},
    {"lease", required_argument, NULL, LEASE},
    {"max-pending", required_argument, NULL, PENDING},
    {"memory", required_argument, NULL, MEMORY},
    {"call-limit", required_argument, NULL, CALL_LIMIT},
    {"total-memory", required_argument, NULL, TOTAL_MEMORY},
    {"max-unauthenticated", required_argument, NULL, UNAUTHENTICATED},
    {"log-level", required_argument, NULL, LEVEL},
    {"auth-file", required_argument, NULL, FILE_},
    {"auth-keys", required_argument, NULL, KEYS},
    {"enable-auth", no_argument, NULL, AUTH},
    {"help", no_argument, NULL, HELP},
    {NULL, 0, NULL, 0},
};

static int option(struct fxs_options *o, struct given *g, int c, const char *value)
{
    long n;
    switch (c) {
    case BIND:
        return bind_option(o, value);
    case PORT:
        g->port = value;
        g->port_name = "--port";
        return 0;
    case THREADS:
        if (number("--threads", value, 1, THREADS_MAX, &n) != 0)
            return -1;
        o->threads = (int)n;
        return 0;
    case LIBRARY:
        o->wanted = value;
        return 0;
    case COALESCE:
        if (strcmp(value, "exact") != 0 && strcmp(value, "fast") != 0 && strcmp(value, "off") != 0)
            return wrong("--coalesce: '%s' is none of exact, fast and off", value);
        o->coalesce = value;
        return 0;
    case LEASE:
        if (number("--lease", value, 1, 86400, &n) != 0)
            return -1;
        o->lease = n * 1000;
        return 0;
    case MEMORY:
        if (number("--memory", value, 64, 1 << 30, &n) != 0)
            return -1;
        o->memory = n;
        return 0;
    case CALL_LIMIT:
        return number("--call-limit", value, 1, 1 << 30, &o->call_limit);
    case TOTAL_MEMORY:
        return number("--total-memory", value, 64, 1 << 30, &o->total_memory);
    case UNAUTHENTICATED:
        if (number("--max-unauthenticated", value, 1, 1 << 20, &n) != 0)
            return -1;
        o->max_unauthenticated = (int)n;
        return 0;
    case PENDING:
        return number("--max-pending", value, 1, 1 << 24, &o->max_pending);
    case LEVEL:
        if (fxs_log_level_parse(value, &o->level) != 0)
            return wrong("--log-level: '%s' is not error, warn, info or debug", value);
        return 0;
    case FILE_:
        g->file = value;
        return 0;
    case KEYS:
        g->keys = value;
        return 0;
    default:
        g->auth = 1;
        return 0;
    }
}

enum fxs_parsed fxs_options_parse(struct fxs_options *o, int argc, char **argv)
{
    const char *port = getenv("FAISSX_PORT");
    struct given g = {.port = port && *port ? port : NULL, .port_name = "FAISSX_PORT"};
    int c;
    *o = (struct fxs_options){.threads = cores(),
                              .level = FXS_INFO,
                              .coalesce = "exact",
                              .lease = LEASE_DEFAULT * 1000,
                              .total_memory = (long)(fxs_memory_of_machine() / 5 * 4 >> 20),
                              .max_unauthenticated = UNAUTHENTICATED_DEFAULT,
                              .max_pending = PENDING_DEFAULT};
    opterr = 0;
    optind = 1;
    while ((c = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        if (c == HELP)
            return FXS_HELP;
        if (c == ':')
            wrong("%s needs a value", argv[optind - 1]);
        else if (c == '?')
            wrong("unknown or ambiguous option '%s'; faissx-server run --help lists them",
                  argv[optind - 1]);
        else if (option(o, &g, c, optarg) == 0)
            continue;
        return FXS_WRONG;
    }
    if (optind < argc) {
        wrong("'%s' is not an option; faissx-server run --help lists them", argv[optind]);
        return FXS_WRONG;
    }
    fxs_log_level(o->level);
    return put_together(o, &g) == 0 ? FXS_RUN : FXS_WRONG;
}

void fxs_options_free(struct fxs_options *o)
{
    fxs_auth_free(o->auth);
    o->auth = NULL;
}
