/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the indexes must hold, from what the clients have noted.
 *
 * An id is added at most once, and removed by one client only.  So what a set of operations leads
 * to does not depend on their order, and an operation whose outcome is unknown can be told from
 * what is there: it was made wholly or not at all.
 *
 *     ingest.c     journals to operations
 *     judge.c      operations against what is there
 *     names.c      names, and reading what is there
 */
#ifndef TORTURE_MODEL_H
#define TORTURE_MODEL_H

#include <stdbool.h>

#include "dump.h"
#include "journal.h"

struct op {
    int client;
    uint64_t number;
    enum operation what;
    enum outcome outcome;
    bool settled; /* a check has found out whether it was made; what is there says it all */
    int index;
    int64_t began_ns, ended_ns, value;
    uint32_t *add, nadd; /* ids; of PUBLISH too */
    uint32_t *out, nout; /* ids to remove, or all those of the index */
    char text[TEXT_SIZE];
};

enum settled { OPEN, PRESENT, GONE }; /* as of the last check; OPEN: new since */

struct vec {
    uint32_t id;
    enum settled settled;
    int index;
    int add;          /* operation; -1: settled */
    int removal, all; /* operations, or -1: REMOVE; RESET, PUBLISH over it or UNPUBLISH */
    bool seen;        /* since the last check */
    int64_t seen_ns;
    uint32_t count; /* how often the index has it */
};

struct index {
    char name[NAME_SIZE];
    bool there;  /* the name was published at the last check */
    int publish; /* the last unsettled PUBLISH or UNPUBLISH, or -1 */
    int train;   /* the last TRAIN, or -1 */
    bool trained;
    struct dump dump;
};

struct model {
    struct op *op;
    int nop;
    struct vec *vec; /* in the order of the journals */
    uint32_t nvec;
    uint32_t *hash, mask; /* id to vec + 1 */
    struct index *index;
    int nindex;
    size_t offset[CLIENTS_MAX];
    int begun[CLIENTS_MAX]; /* the client's operation without END, or -1 */
    int first;              /* operation that may not be settled */
    bool always;            /* --durability=always */
    int64_t safe_ns;        /* what was acknowledged before is kept, though a server was killed */
    /* What was found, over all checks. */
    struct counts {
        uint64_t operations, reads, acknowledged, vectors, unknown, refused;
        uint64_t unheard; /* unknown ones that have no END */
        uint64_t unknown_made;
        uint64_t lost, doubled, vanished; /* vectors or operations */
        uint64_t torn;                    /* made in part */
        uint64_t returned;                /* removed, and there again */
        uint64_t unasked;    /* there, though the change was refused or never asked for */
        uint64_t missing;    /* not shown by a search, though added before */
        uint64_t miscounted; /* removals that have returned a wrong number */
        uint64_t wrong;      /* vectors with other contents, unreadable indexes */
        uint64_t disordered; /* a later change was kept, and an earlier one lost */
        uint64_t forgone;    /* lost as --durability allows */
    } n;
};

void model_init(struct model *m, bool always);
struct vec *model_vec(struct model *m, uint32_t id);
int model_index(struct model *m, const char *name);

/* Takes in what the clients have written since the last time.  `lenient`: a server was killed since
 * then, which need not have kept everything. */
void model_ingest(struct model *m, const char *dir, int nclients, bool lenient);

/* Compares with what the indexes hold now, a file that `client dump` has written, and takes that as
 * the truth from now on.  All that was acknowledged has to be there; `lenient`: of each index those
 * changes that were made before any that is lost, and all those before safe_ns. */
void model_judge(struct model *m, const char *dump, bool lenient);

/* names.c.  model_names returns the names that a dump must have, ended by NULL. */
char **model_names(const struct model *m);
void names_read(struct model *m, const char *dump);
void names_judge(struct model *m);

/* Prints a finding.  Only the first ones are shown. */
__attribute__((format(printf, 2, 3))) void model_report(struct model *m, const char *format, ...);
uint64_t model_faults(const struct model *m);

/* tally.c: counts the errors that clients were told, by text and outcome. */
void tally(enum outcome o, const char *text);
void tally_print(void);

#endif
