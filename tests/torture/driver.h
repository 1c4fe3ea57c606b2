/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver of the model check: one server, several clients, and signals.
 *
 *     torture.c    the rounds, the checks, the report
 *     servers.c    the server's processes
 *     crew.c       the clients' processes
 *     network.c    a proxy between them
 */
#ifndef TORTURE_DRIVER_H
#define TORTURE_DRIVER_H

#include <stdbool.h>
#include <sys/types.h>

#include "model.h"

enum { TEXT_MAX = 4096, ENGINES_MAX = 16 };

struct driver {
    const char *dir, *build, *preload, *durability;
    uint64_t seed, random;
    int seconds, nclients;
    int interval_ms; /* of --durability interval */
    bool always;
    pid_t front;
    char tcp[64], ipc[TEXT_MAX];
    char network[64]; /* the proxy's endpoint */
    char **options;   /* of the server, ended by NULL */
    struct crew {
        pid_t pid;
        bool stopped;
        int64_t resume_ns;
    } client[CLIENTS_MAX];
    struct model model;
    struct deeds {
        int network, client_kills, client_stops, engine_kills, engine_stops, writer_stops,
            writer_kills, front_kills, all_kills;
        int orderly, checks, starts_refused, given_up, stuck;
    } did;
};

uint32_t driver_random(struct driver *d, uint32_t below);
void sleep_ms(int ms);
/* Starts a program whose output goes to a file of d->dir. */
pid_t start(struct driver *d, const char *log, char *const argv[], char *const env[]);

int free_port(void);
/* Starts the server, and waits until it accepts connections. */
void server_start(struct driver *d);
/* The front's children, and those of another process.  They return how many. */
int server_engines(const struct driver *d, pid_t engine[ENGINES_MAX]);
int server_children(pid_t parent, pid_t child[ENGINES_MAX]);
/* Waits for the front's end, and for that of the engines, which end with it. */
void server_gone(struct driver *d, const pid_t *engine, int n);

/* Once, when there is a server. */
void network_start(struct driver *d);
void network_trouble(struct driver *d);

void crew_start(struct driver *d, int i);
/* Starts again those that have ended, and continues those that were stopped long enough. */
void crew_look_after(struct driver *d);
/* Ends all clients, with SIGKILL, or with SIGTERM and at the end of their operations. */
void crew_end(struct driver *d, int signal);
/* Runs the client with these arguments to its end, and returns its status. */
int crew_run(struct driver *d, char *const argv[]);

#endif
