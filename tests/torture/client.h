/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client of the model check, an unmodified user of FAISS.
 *
 *     client make NAME DESCRIPTION     publish an empty index
 *     client dump FILE NAME...         write what each of the indexes holds
 *     client work                      change and read indexes until SIGTERM; see struct work
 */
#ifndef TORTURE_CLIENT_H
#define TORTURE_CLIENT_H

#include <stdbool.h>

#include "content.h"
#include "dump.h"
#include "journal.h"
#include "tests/e2e/client.h"

enum { IVF_LISTS = 4, RECENT = 512, NEIGHBOURS = 10 };

/* A growing list of ids. */
struct ids {
    uint32_t *id;
    uint32_t n, room;
};
void ids_add(struct ids *s, uint32_t id);
/* Removes one, any, and returns it. */
uint32_t ids_take(struct ids *s, uint32_t at);

enum place_kind { SHARED, OWN, IVF };

/* An index that this client works on. */
struct place {
    enum place_kind kind;
    char name[NAME_SIZE];
    FaissIndex *index;
    bool published, trained;
    bool unsure; /* an operation on the whole index has an unknown outcome: it is left alone */
    int generation;
    struct ids removable; /* those that are there, and that this client may remove */
    struct ids known;     /* acknowledged additions of this client, some of them */
};

enum { OWN_PLACE = SHARED_INDEXES, IVF_PLACE, PLACES };

/* The environment: TORTURE_DIR, TORTURE_CLIENT (0, 1, ...), TORTURE_CLIENTS, TORTURE_SEED,
 * TORTURE_CLI (the path of faissx). */
struct work {
    const char *dir, *cli;
    int client, clients;
    uint64_t random;
    int journal;
    uint64_t number;  /* of the last operation */
    uint32_t counter; /* of the last id */
    struct place place[PLACES];
    struct ids met; /* others' ids that this client has seen, and may remove */
    int errors;     /* in a row */
    volatile const int *stop;
};

uint32_t work_random(struct work *w, uint32_t below);

/* resume.c: takes up what an earlier process of the same client has left, from its journal. */
void work_resume(struct work *w);

/* change.c: the operations that change something */
void change_something(struct work *w);
/* Only this client removes the id. */
bool may_remove(const struct work *w, const struct place *p, uint32_t id);

/* read.c */
void search_something(struct work *w, struct place *p);
void reconstruct_something(struct work *w, struct place *p);
int dump_indexes(const char *path, char **names, int n);
char *path_of(const char *name);

/* handle.c: opens the place's index; returns NULL if it cannot. */
FaissIndex *handle_of(struct work *w, struct place *p);
/* After an error of the connection or of the session. */
void forget_handles(struct work *w);
bool is_remote_error(void);

#endif
