/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of faissx-server that look after a data directory (--data-dir) and its backups.
 * Each is a struct fxa_command, listed in admin.c.  The program has one thread.
 *
 *     admin.c      the command line
 *     tenants.c    the tenants of a data directory
 *     faults.c     what is wrong: collected, printed
 *     manifest.c   the list of what a backup has
 *     when.c       times
 *     verify.c, repair.c, backup.c, prune.c, restore.c, export.c, faissx.c
 */
#ifndef FXA_ADMIN_H
#define FXA_ADMIN_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "server/store/admin.h"

/* Exit statuses. */
enum {
    FXA_OK = 0,
    FXA_WRONG = 1, /* something is wrong; a message says what */
    FXA_USAGE = 2
};

struct fxa {
    const struct fxa_command *command;
    const char *tenant; /* or NULL: all */
    int json, dry_run;
    int keep;        /* backups; 0: all */
    int64_t time_ms; /* or 0 */
    json_t *out;     /* with json: what is printed at the end */
};

struct fxa_command {
    const char *name, *operands;
    int n;               /* of the operands */
    const char *options; /* letters: t enant, d ry-run, k eep, T ime; all have json and help */
    const char *summary, *help;
    int (*run)(struct fxa *a, char **operands);
};

extern const struct fxa_command fxa_verify, fxa_repair, fxa_backup, fxa_restore, fxa_export,
    fxa_import_faissx;

/* Runs argv[0], if it is one of the commands.  Returns its exit status, or -1. */
int fxa_main(int argc, char **argv);
/* Prints a line for each command. */
void fxa_help(void);

/* Prints "faissx-server COMMAND: " and the text on stderr, and puts it into the JSON output.
 * Returns FXA_WRONG. */
int fxa_fail(struct fxa *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints a line on stdout, unless with --json. */
void fxa_say(const struct fxa *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* --- tenants.c --- */

/* A folder of the data directory in which a repaired store waits for its place. */
#define FXA_REPAIRING "repairing"

/* Gets the status of the folder of the tenants.  Returns FXA_OK, or fails: the text says whether
 * it is missing or cannot be read. */
int fxa_stat_tenants(struct fxa *a, const char *data_dir, struct stat *st);
/* Calls f for each tenant of the data directory, or only for a->tenant; `dir` is its store's.
 * Returns FXA_OK, or the worst status that f returned.  Fails if there is no such tenant, or if a
 * repair was interrupted: one may be missing. */
int fxa_each_tenant(struct fxa *a, const char *data_dir,
                    int (*f)(struct fxa *a, const char *tenant, const char *dir, void *ctx),
                    void *ctx);
/* Locks the data directory as a server does.  Returns the descriptor to close, or -1 after a
 * message. */
int fxa_lock(struct fxa *a, const char *data_dir);
/* As root: gives the directory `dir` and its files to `owner`, whose server is to use them.
 * Returns FXA_OK, or fails. */
int fxa_give(struct fxa *a, const char *dir, const struct stat *owner);
/* Has the tenant never published anything?  Its directory has at most what an engine makes before
 * the database. */
bool fxa_is_unused(const char *dir);
/* Bytes of all files in the directory. */
uint64_t fxa_dir_bytes(const char *dir);

/* --- faults.c --- */

/* Is it a name that a user has given?  The others stand for handles of sessions, and have the
 * sessions' tokens, which are secret. */
static inline bool fxa_is_name(const char *name)
{
    return (unsigned char)*name >= ' ';
}
#define FXA_UNNAMED "(a session's index without a name)"

struct fxa_faults {
    struct fxa_fault {
        struct fxs_fault f; /* with strings of its own */
    } * list;
    size_t n, cap;
    unsigned wrong; /* how many are not notes */
};
/* A fxs_fault_fn whose ctx is a struct fxa_faults. */
void fxa_fault(void *ctx, const struct fxs_fault *f);
/* Looks up the names that are missing, in a store. */
void fxa_faults_name(struct fxa_faults *l, const char *dir);
/* Prints them, or adds them to `out` as "faults" and "notes". */
void fxa_faults_print(const struct fxa *a, const struct fxa_faults *l, json_t *out);
void fxa_faults_free(struct fxa_faults *l);

/* --- when.c --- */

enum { FXA_TIME = 32 };
int64_t fxa_now(void); /* milliseconds since 1970 */
/* Writes it as 2026-01-31T23:59:59.123Z (FXA_TIME bytes).  Returns `text`. */
char *fxa_time(int64_t ms, char *text);
/* Reads such a time, without Z as local time; seconds and their fraction may be missing; or
 * @SECONDS since 1970.  Returns -1 if it is not one. */
int fxa_time_of(const char *text, int64_t *ms);

#endif
