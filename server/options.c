/* SPDX-License-Identifier: Apache-2.0 */
#include "server/options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "proto/wrong_word.h"
#include "server/machine.h"

enum kind { NUMBER, TEXT, CHOICE, SWITCH, ENDPOINT };
enum whose { RUN = 1, ENGINE = 2, BOTH = RUN | ENGINE };

struct option_info {
    const char *name;
    enum kind kind;
    enum whose whose;
    size_t at;               /* of the member of struct fxs_options */
    const char *value;       /* its name in the help; for a CHOICE: the words, separated by '|' */
    const char *environment; /* variable with the value if the option is not given, or NULL */
    long min, max;
    const char *help; /* NULL: an internal option, which the help does not show */
};

#define AT(member) offsetof(struct fxs_options, member)
#define MIB_MAX (1 << 24)

/* The front passes options of ENGINE to each engine that it starts. */
static const struct option_info table[] = {
    {"--bind", ENDPOINT, RUN, 0, "ENDPOINT", NULL, 0, 0,
     "where to listen: tcp://HOST:PORT or ipc://PATH; may be given several times (default: "
     "tcp://127.0.0.1:45678)"},
    {"--port", NUMBER, RUN, AT(port), "N", "FAISSX_PORT", 0, 65535,
     "port of the default endpoint; 0: any free port; not together with --bind"},
    {"--bind-address", TEXT, RUN, AT(bind_address), "ADDRESS", "FAISSX_BIND_ADDRESS", 0, 0,
     "address of the default endpoint, 0.0.0.0 for all (default: 127.0.0.1); not together with "
     "--bind"},
    {"--threads", NUMBER, BOTH, AT(threads), "N", NULL, 1, 4096,
     "worker threads of each tenant's engine (default: number of cores that the machine or its "
     "container has)"},
    {"--library", TEXT, BOTH, AT(library), "PATH", "FAISSX_FAISS_LIBRARY", 0, 0,
     "the real libfaiss_c (default: the best one that is installed)"},
    {"--coalesce", CHOICE, BOTH, AT(coalesce), "exact|fast|off", NULL, 0, 0,
     "do searches of several clients in the same index together: exact: if each gets the same bits "
     "as alone (default); fast: also if the last bits may differ; off: never"},
    {"--lease", NUMBER, BOTH, AT(lease), "SECONDS", NULL, 1, 86400,
     "how long to keep a client's objects after its last connection has ended (default: 30)"},
    {"--call-limit", NUMBER, BOTH, AT(call_limit), "SECONDS", NULL, 0, 1 << 30,
     "a call that takes longer fails for its caller, while FAISS continues with it; 0: no limit "
     "(default)"},
    {"--max-pending", NUMBER, BOTH, AT(max_pending), "MIB", NULL, 1, MIB_MAX,
     "memory for requests and replies of one tenant, beyond which new requests are refused "
     "(default: 1024)"},
    {"--total-memory", NUMBER, BOTH, AT(total_memory), "MIB", NULL, 64, 1 << 30,
     "memory of all engines together; a call that would exceed it fails (default: 80 % of what the "
     "machine or its container has)"},
    {"--memory", NUMBER, BOTH, AT(memory), "MIB", NULL, 64, 1 << 30,
     "memory of each tenant's engine (default: what the other engines leave of the total)"},
    {"--data-dir", TEXT, RUN, AT(data_dir), "DIR", "FAISSX_DATA_DIR", 0, 0,
     "keep published indexes in this directory, which only one server uses (default: nothing is "
     "kept: an index is lost when its engine ends)"},
    {"--keep", CHOICE, BOTH, AT(keep), "named|sessions", NULL, 0, 0,
     "what is kept there: named: published indexes (default); sessions: also the other indexes of "
     "programs that are connected, which go on with them when the server was restarted"},
    {"--durability", TEXT, BOTH, AT(durability_text), "MODE", NULL, 0, 0,
     "always: a change is on disk before its reply (default); interval=MS: at most the changes of "
     "the last MS milliseconds can be lost; snapshot: at most those since the last snapshot"},
    {"--snapshot-interval", NUMBER, BOTH, AT(snapshot_interval), "SECONDS", NULL, 0, 1 << 30,
     "how often to write a whole index that has changed; 0: only when its changes have grown large "
     "(default: 300)"},
    {"--idle", NUMBER, BOTH, AT(idle), "SECONDS", NULL, 0, 1 << 30,
     "an engine ends after this time without sessions and requests, if nothing is lost by that; 0: "
     "never (default: 300)"},
    {"--max-unauthenticated", NUMBER, RUN, AT(max_unauthenticated), "N", NULL, 1, 1 << 20,
     "connections that have not sent an API key yet; beyond that the oldest is closed (default: "
     "1024)"},
    {"--faissx-k", NUMBER, BOTH, AT(faissx.k), "N", NULL, 1, INT_MAX,
     "largest k of a search by FAISSx's Python client (default: 10000, as its own server has)"},
    {"--faissx-dimension", NUMBER, BOTH, AT(faissx.d), "N", NULL, 1, 1 << 20,
     "largest dimension of an index that it makes (default: 10000)"},
    {"--faissx-vectors", NUMBER, BOTH, AT(faissx.vectors), "N", NULL, 1, INT_MAX,
     "most vectors that it adds at once without ids (default: 10000)"},
    {"--faissx-message", NUMBER, BOTH, AT(faissx.message), "MIB", NULL, 1, 1024,
     "largest message from it (default: 100)"},
    {"--faissx-reply", NUMBER, BOTH, AT(faissx.reply), "MIB", NULL, 1, 2048,
     "largest reply to it (default: 500)"},
    {"--log-level", CHOICE, BOTH, AT(log_level), FXS_LEVELS, "FAISSX_LOG_LEVEL", 0, 0,
     "the lowest level that is written to the log, on stderr (default: info); warning and critical "
     "mean warn and error"},
    {"--auth-file", TEXT, RUN, AT(auth_file), "FILE", "FAISSX_AUTH_FILE", 0, 0,
     "API keys: a JSON object of \"key\": \"tenant\""},
    {"--auth-keys", TEXT, RUN, AT(auth_keys), "LIST", "FAISSX_AUTH_KEYS", 0, 0,
     "API keys: key1:tenant1,key2:tenant2; other users of the machine can see them in the list of "
     "processes, so prefer --auth-file or the variable"},
    {"--enable-auth", SWITCH, RUN, AT(enable_auth), NULL, "FAISSX_ENABLE_AUTH", 0, 0,
     "require API keys; --auth-file and --auth-keys imply this"},
    {"--curve-secret-file", TEXT, RUN, AT(curve_secret_file), "FILE", "FAISSX_CURVE_SECRET_FILE", 0,
     0,
     "offer encryption (ZeroMQ's CURVE) with the secret key in this file, which `faissx keygen "
     "--curve` makes"},
    {"--curve-clients", TEXT, RUN, AT(curve_clients), "FILE", "FAISSX_CURVE_CLIENTS", 0, 0,
     "public CURVE keys of clients, one in a line, each followed by its tenant: these clients need "
     "no API key, and all others do"},
    {"--require-encryption", SWITCH, RUN, AT(require_encryption), NULL, "FAISSX_REQUIRE_ENCRYPTION",
     0, 0, "refuse TCP connections without CURVE, from this host as well; Unix sockets stay open"},
    {"--insecure", SWITCH, RUN, AT(insecure), NULL, "FAISSX_INSECURE", 0, 0,
     "do not warn of endpoints that other hosts can reach without encryption"},
    {"--help", SWITCH, RUN, AT(help), NULL, NULL, 0, 0, "print this text and exit"},
    {"--link", NUMBER, ENGINE, AT(link), NULL, NULL, 0, INT_MAX, NULL},
    {"--tenant", TEXT, ENGINE, AT(tenant), NULL, NULL, 0, 0, NULL},
    {"--near", TEXT, ENGINE, AT(near), NULL, NULL, 0, 0, NULL},
    {"--previous", TEXT, ENGINE, AT(previous), NULL, NULL, 0, 0, NULL},
    {"--store-dir", TEXT, ENGINE, AT(store_dir), NULL, NULL, 0, 0, NULL},
};

enum { COUNT = sizeof table / sizeof table[0] };
_Static_assert((int)COUNT <= (int)FXS_OPTIONS_MAX,
               "struct fxs_arguments has a place for each option");

static int *number_of(const struct fxs_options *o, const struct option_info *i)
{
    return (int *)((char *)o + i->at);
}

static const char **text_of(const struct fxs_options *o, const struct option_info *i)
{
    return (const char **)((char *)o + i->at);
}

__attribute__((format(printf, 1, 2))) static int wrong_option(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("faissx-server: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return -1;
}

/* --- values: `name` is the option or the variable, for errors --- */

static int parse_number(const char *name, const char *text, long min, long max, int *out)
{
    char *end;
    errno = 0;
    long v = strtol(text, &end, 10);
    if (end == text || *end || errno || v < min || v > max)
        return wrong_option("%s: '%s' is not a number from %ld to %ld", name, text, min, max);
    *out = (int)v;
    return 0;
}

/* The value of a variable that stands for a SWITCH. */
static int parse_switch(const char *name, const char *text, int *out)
{
    static const char *const words[] = {"0", "1", "false", "true", "no", "yes", "off", "on"};
    for (int n = 0; n < (int)(sizeof words / sizeof *words); n++)
        if (strcasecmp(text, words[n]) == 0) {
            *out = n % 2;
            return 0;
        }
    return wrong_option("%s: '%s' is neither true nor false", name, text);
}

/* Returns the nth word (from 0) of a list separated by '|', and its length in *len; or NULL. */
static const char *choice(const char *words, int n, size_t *len)
{
    for (; n > 0; n--) {
        words = strchr(words, '|');
        if (!words)
            return NULL;
        words++;
    }
    *len = strcspn(words, "|");
    return words;
}

static int parse_choice(const char *name, const char *text, const char *words, int *out)
{
    const char *word;
    size_t len;
    for (int n = 0; (word = choice(words, n, &len)); n++)
        if (strlen(text) == len && strncasecmp(text, word, len) == 0) {
            *out = n;
            return 0;
        }
    return wrong_option("%s: '%s' is not one of %s", name, text, words);
}

/* Python's names of levels are accepted, too. */
static const char *level_name(const char *text)
{
    return strcasecmp(text, "warning") == 0    ? "warn"
           : strcasecmp(text, "critical") == 0 ? "error"
                                               : text;
}

static int parse_endpoint(struct fxs_options *o, const char *name, const char *endpoint)
{
    int port;
    if (strncmp(endpoint, "tcp://", 6) != 0 && strncmp(endpoint, "ipc://", 6) != 0)
        return wrong_option("%s: '%s' is neither tcp://HOST:PORT nor ipc://PATH", name, endpoint);
    if (o->nbinds == FXS_BINDS_MAX)
        return wrong_option("%s: '%s' is one too many: at most %d endpoints are allowed", name,
                            endpoint, FXS_BINDS_MAX);
    if (strncmp(endpoint, "tcp://", 6) == 0) {
        const char *colon = strrchr(endpoint, ':');
        if (colon == strchr(endpoint, ':'))
            return wrong_option("%s: '%s' has no port; it must be tcp://HOST:PORT", name, endpoint);
        if (strcmp(colon + 1, "*") != 0 && parse_number(name, colon + 1, 0, 65535, &port) != 0)
            return -1;
    }
    o->binds[o->nbinds++] = endpoint;
    return 0;
}

/* always, interval=MS or snapshot. */
static int parse_durability(struct fxs_options *o)
{
    const char *text = o->durability_text;
    o->durability.mode = FXS_ALWAYS;
    if (!text || strcmp(text, "always") == 0)
        return 0;
    if (strcmp(text, "snapshot") == 0) {
        o->durability.mode = FXS_SNAPSHOT;
        return 0;
    }
    if (strncmp(text, "interval=", 9) != 0)
        return wrong_option("--durability: '%s' is not one of always, interval=MS, snapshot", text);
    o->durability.mode = FXS_INTERVAL;
    return parse_number("--durability interval", text + 9, 1, 3600000, &o->durability.interval_ms);
}

static int set_option(struct fxs_options *o, const struct option_info *i, const char *name,
                      const char *text)
{
    switch (i->kind) {
    case NUMBER:
        return parse_number(name, text, i->min, i->max, number_of(o, i));
    case CHOICE:
        if (i->at == AT(log_level))
            text = level_name(text);
        return parse_choice(name, text, i->value, number_of(o, i));
    case ENDPOINT:
        return parse_endpoint(o, name, text);
    case TEXT:
        *text_of(o, i) = text;
        return 0;
    default:
        return parse_switch(name, text ? text : "1", number_of(o, i));
    }
}

/* --- the command line --- */

/* Sets given[i] if the option table[i] is given. */
static int parse_options(struct fxs_options *o, enum whose whose, int argc, char **argv,
                         char *given)
{
    struct option options[COUNT + 1] = {{0}};
    int n = 0, c, before;
    for (int i = 0; i < COUNT; i++)
        if (table[i].whose & whose)
            options[n++] = (struct option){
                table[i].name + 2, table[i].kind == SWITCH ? no_argument : required_argument, NULL,
                256 + i};
    opterr = 0;
    optind = 1;
    while (before = optind, (c = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        if (c == ':')
            return wrong_option("%s needs a value", fx_wrong_word(argv, before));
        if (c == '?')
            return wrong_option(
                "unknown or ambiguous option '%s'; faissx-server run --help lists them",
                fx_wrong_word(argv, before));
        if (set_option(o, &table[c - 256], table[c - 256].name, optarg) != 0)
            return -1;
        given[c - 256] = 1;
    }
    if (optind < argc)
        return wrong_option("'%s' is not an option; faissx-server run --help lists them",
                            argv[optind]);
    return 0;
}

static int is_given(const char *given, const char *name)
{
    for (int i = 0; i < COUNT; i++)
        if (strcmp(table[i].name, name) == 0)
            return given[i];
    return 0;
}

/* Does an option that is given take the place of this one's variable? */
static bool is_overridden(const struct fxs_options *o, const struct option_info *i,
                          const char *given)
{
    return given[i - table] || (o->nbinds && (i->at == AT(port) || i->at == AT(bind_address)));
}

/* Kubernetes gives its containers such a variable for each service.  That of one called faissx has
 * the name of ours. */
static bool is_of_kubernetes(const struct option_info *i, const char *text)
{
    if (i->at != AT(port) || strncmp(text, "tcp://", 6) != 0)
        return false;
    fxs_log(
        FXS_WARN, "front",
        "event=ignored variable=FAISSX_PORT value=%s why=\"it is not a port, but what Kubernetes "
        "sets for a service of this name\"",
        text);
    return true;
}

/* A variable that has no effect is not read: it may not be ours, or be wrong. */
static int from_environment(struct fxs_options *o, const char *given)
{
    for (const struct option_info *i = table; i < table + COUNT; i++) {
        const char *text = i->environment ? getenv(i->environment) : NULL;
        if (text && *text && !is_overridden(o, i, given) && !is_of_kubernetes(i, text) &&
            set_option(o, i, i->environment, text) != 0)
            return -1;
    }
    return 0;
}

/* An option that is given takes the place of another one's variable. */
static int check_keys(struct fxs_options *o, const char *given)
{
    if (is_given(given, "--auth-keys") && !is_given(given, "--auth-file"))
        o->auth_file = NULL;
    if (is_given(given, "--auth-file") && !is_given(given, "--auth-keys"))
        o->auth_keys = NULL;
    if (o->auth_keys && o->auth_file)
        return wrong_option("--auth-keys and --auth-file cannot be used together");
    return 0;
}

static int check_encryption(const struct fxs_options *o)
{
    if (o->require_encryption && !o->curve_secret_file)
        return wrong_option("--require-encryption: nothing can be encrypted without "
                            "--curve-secret-file");
    if (o->curve_clients && !o->curve_secret_file)
        return wrong_option("--curve-clients: clients cannot show their keys without "
                            "--curve-secret-file");
    return 0;
}

static int check_data_dir(const struct fxs_options *o, const char *given)
{
    static const char *const need[] = {"--keep", "--durability", "--snapshot-interval"};
    for (size_t i = 0; i < sizeof need / sizeof *need && !o->data_dir; i++)
        if (is_given(given, need[i]))
            return wrong_option("%s: nothing is kept without --data-dir", need[i]);
    return 0;
}

/* What --port and --bind-address say, unless there is a --bind. */
static int set_default_bind(struct fxs_options *o, const char *given)
{
    if (o->nbinds && is_given(given, "--port"))
        return wrong_option(
            "--port: cannot be used with --bind, which names its port itself; given: %d", o->port);
    if (o->nbinds && is_given(given, "--bind-address"))
        return wrong_option(
            "--bind-address: cannot be used with --bind, which names its address itself; given: %s",
            o->bind_address);
    if (o->nbinds)
        return 0;
    bool colon = strchr(o->bind_address, ':') && o->bind_address[0] != '[';
    int n = snprintf(o->default_bind, sizeof o->default_bind, "tcp://%s%s%s:%d", colon ? "[" : "",
                     o->bind_address, colon ? "]" : "", o->port);
    if (n >= (int)sizeof o->default_bind)
        return wrong_option("--bind-address: '%s' is too long", o->bind_address);
    o->binds[o->nbinds++] = o->default_bind;
    return 0;
}

int fxs_options_run(struct fxs_options *o, int argc, char **argv)
{
    char given[COUNT] = {0};
    *o = (struct fxs_options){.port = 45678,
                              .bind_address = "127.0.0.1",
                              .threads = fxs_cores_of_machine(),
                              .log_level = FXS_INFO,
                              .lease = 30,
                              .total_memory = (int)(fxs_memory_of_machine() / 5 * 4 >> 20),
                              .max_unauthenticated = 1024,
                              .faissx = {10000, 10000, 10000, 100, 500},
                              .snapshot_interval = 300,
                              .idle = 300,
                              .max_pending = 1024};
    if (parse_options(o, RUN, argc, argv, given) != 0 || from_environment(o, given) != 0)
        return -1;
    if (set_default_bind(o, given) != 0 || check_keys(o, given) != 0 || check_encryption(o) != 0)
        return -1;
    if (parse_durability(o) != 0)
        return -1;
    if (check_data_dir(o, given) != 0)
        return -1;
    fxs_log_level(o->log_level);
    return 0;
}

int fxs_options_engine(struct fxs_options *o, int argc, char **argv)
{
    char given[COUNT] = {0};
    *o = (struct fxs_options){.near = "", .previous = "", .store_dir = ""};
    if (parse_options(o, ENGINE, argc, argv, given) != 0 || parse_durability(o) != 0)
        return -1;
    fxs_log_level(o->log_level);
    return 0;
}

void fxs_options_argv(const struct fxs_options *o, struct fxs_arguments *a)
{
    int n = 0;
    a->argv[n++] = "faissx-server";
    a->argv[n++] = "engine";
    for (int i = 0; i < COUNT; i++) {
        const struct option_info *d = &table[i];
        const char *value = a->text[i], *word;
        size_t len = 0;
        if (!(d->whose & ENGINE))
            continue;
        if (d->kind == TEXT)
            value = *text_of(o, d);
        else if (d->kind == CHOICE && (word = choice(d->value, *number_of(o, d), &len)))
            snprintf(a->text[i], sizeof a->text[i], "%.*s", (int)len, word);
        else
            snprintf(a->text[i], sizeof a->text[i], "%d", *number_of(o, d));
        if (!value || (d->kind == NUMBER && *number_of(o, d) < d->min))
            continue; /* not given: 0 or NULL, which the engine assumes without it */
        a->argv[n++] = d->name;
        a->argv[n++] = value;
    }
    a->argv[n] = NULL;
}

/* --- the help --- */

enum { INDENT = 23, WIDTH = 90 };

/* Prints `text` from column INDENT on, broken into lines of WIDTH.  `column`: the current one. */
static void print_help(FILE *f, const char *text, int column)
{
    if (column >= INDENT)
        fputc('\n', f), column = 0;
    fprintf(f, "%*s", INDENT - 1 - column, "");
    for (column = INDENT - 1; *text; text += strspn(text, " ")) {
        int len = (int)strcspn(text, " ");
        if (column + 1 + len > WIDTH) {
            fprintf(f, "\n%*s", INDENT - 1, "");
            column = INDENT - 1;
        }
        column += fprintf(f, " %.*s", len, text);
        text += len;
    }
    fputc('\n', f);
}

void fxs_options_help(FILE *f)
{
    fputs("Usage: faissx-server run [OPTION]...\n"
          "Serve FAISS to libfaissx_c.so and other clients over ZeroMQ.\n\n",
          f);
    for (const struct option_info *i = table; i < table + COUNT; i++) {
        int column;
        if (!i->help)
            continue;
        column = fprintf(f, "  %s%s%s", i->name, i->value ? " " : "", i->value ? i->value : "");
        print_help(f, i->help, column);
        if (i->environment)
            fprintf(f, "%*s (environment: %s)\n", INDENT - 1, "", i->environment);
    }
    fputs("\nEach tenant is served by a process of its own. Without keys there is one tenant,\n"
          "and anyone who can connect to the server may use it. Connections are encrypted\n"
          "if the client asks for it and there is a --curve-secret-file.\n",
          f);
}
