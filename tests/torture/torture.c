/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kills clients, engines and servers at random, and checks that what was acknowledged is there,
 * once.
 *
 *     torture --dir DIR --build DIR --preload LIBRARIES [--seed N] [--seconds N] [--clients N]
 *             [--durability MODE] [-- OPTION OF THE SERVER...]
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "driver.h"

enum { LATE_MS = 1000 }; /* with --durability interval, a change may be on disk so much later */

void sleep_ms(int ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

uint32_t driver_random(struct driver *d, uint32_t below)
{
    d->random = d->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(d->random >> 33) % below;
}

/* --- signals --- */

static void kill_engine(struct driver *d)
{
    pid_t engine[ENGINES_MAX];
    int n = server_engines(d, engine);
    for (int i = 0; i < n; i++)
        kill(engine[i], SIGKILL);
    d->did.engine_kills += n;
}

static void stop_engine(struct driver *d)
{
    pid_t engine[ENGINES_MAX];
    int n = server_engines(d, engine);
    for (int i = 0; i < n; i++)
        kill(engine[i], SIGSTOP);
    sleep_ms(50 + (int)driver_random(d, 500));
    for (int i = 0; i < n; i++)
        kill(engine[i], SIGCONT);
    d->did.engine_stops += n;
}

/* A process that writes a snapshot: waits a little for one, and holds it up, or kills it. */
static void trouble_writer(struct driver *d)
{
    pid_t engine[ENGINES_MAX], writer[ENGINES_MAX];
    int n = 0;
    bool end = driver_random(d, 4) == 0;
    if (server_engines(d, engine) == 0)
        return;
    for (int i = 0; i < 300 && n == 0; i++) {
        n = server_children(engine[0], writer);
        if (n == 0)
            sleep_ms(1);
    }
    for (int i = 0; i < n; i++)
        kill(writer[i], end ? SIGKILL : SIGSTOP);
    *(end ? &d->did.writer_kills : &d->did.writer_stops) += n;
    if (end || n == 0)
        return;
    sleep_ms(100 + (int)driver_random(d, 900));
    for (int i = 0; i < n; i++)
        kill(writer[i], SIGCONT);
}

/* The front alone: its engines then end, in an orderly way. */
static void kill_front(struct driver *d)
{
    kill(d->front, SIGKILL);
    waitpid(d->front, NULL, 0);
    d->front = 0;
    d->did.front_kills++;
    server_start(d);
}

static void kill_all(struct driver *d)
{
    pid_t engine[ENGINES_MAX];
    int n = server_engines(d, engine), first = (int)driver_random(d, 2);
    if (first)
        kill(d->front, SIGKILL);
    for (int i = 0; i < n; i++)
        kill(engine[i], SIGKILL);
    if (!first)
        kill(d->front, SIGKILL);
    server_gone(d, engine, n);
    d->did.all_kills++;
}

static void stop_server(struct driver *d)
{
    pid_t engine[ENGINES_MAX];
    int n = server_engines(d, engine);
    kill(d->front, SIGTERM);
    server_gone(d, engine, n);
    d->did.orderly++;
}

static void kill_client(struct driver *d, int i)
{
    if (d->client[i].pid <= 0)
        return;
    kill(d->client[i].pid, SIGKILL);
    d->did.client_kills++;
}

static void stop_client(struct driver *d, int i)
{
    struct crew *c = &d->client[i];
    if (c->pid <= 0 || c->stopped)
        return;
    kill(c->pid, SIGSTOP);
    c->stopped = true;
    c->resume_ns = now_ns() + (int64_t)(100 + driver_random(d, 3000)) * 1000000;
    d->did.client_stops++;
}

/* One thing that goes wrong.  Where not every change must survive, servers are only killed before a
 * check. */
static void trouble(struct driver *d)
{
    uint32_t what = driver_random(d, d->always ? 100 : 60);
    uint32_t other = driver_random(d, 8);
    if (other < 2) {
        network_trouble(d);
        return;
    }
    if (other < 4) {
        trouble_writer(d);
        return;
    }
    int client = (int)driver_random(d, (uint32_t)d->nclients);
    if (what < 30)
        kill_client(d, client);
    else if (what < 50)
        stop_client(d, client);
    else if (what < 60)
        stop_engine(d);
    else if (what < 80)
        kill_engine(d);
    else if (what < 88)
        kill_front(d);
    else if (what < 96) {
        kill_all(d);
        server_start(d);
    } else {
        stop_server(d);
        server_start(d);
    }
}

/* --- checks --- */

static void judge(struct driver *d, bool lenient)
{
    char path[TEXT_MAX + 16];
    snprintf(path, sizeof path, "%s/dump", d->dir);
    model_ingest(&d->model, d->dir, d->nclients, lenient);
    char **names = model_names(&d->model);
    unlink(path);
    for (int at = 0; names[at];) {
        char *args[208] = {"dump", path};
        for (int n = 2; n < 202 && names[at]; n++)
            args[n] = names[at++];
        if (crew_run(d, args) != 0) {
            printf("FAULT: the indexes cannot be read: see %s/dump.log\n", d->dir);
            d->model.n.wrong++;
        }
    }
    free(names);
    model_judge(&d->model, path, lenient);
    d->did.checks++;
}

/* Ends a round in one of several ways, and looks at what is there. */
static void check(struct driver *d)
{
    uint32_t what = driver_random(d, 3);
    if (!d->always && d->did.checks == 0)
        what = 0; /* a short run has a kill, too */
    bool lenient = false;
    if (d->interval_ms)
        d->model.safe_ns = now_ns() - (int64_t)(d->interval_ms + LATE_MS) * 1000000;
    if (what == 0) { /* everything dies */
        for (int i = 0; i < d->nclients; i++)
            if (d->client[i].pid > 0)
                kill(d->client[i].pid, driver_random(d, 2) ? SIGKILL : SIGSTOP);
        kill_all(d);
        crew_end(d, SIGKILL);
        lenient = !d->always;
        server_start(d);
    } else if (what == 1) { /* an orderly end */
        if (driver_random(d, 2))
            crew_end(d, SIGTERM);
        stop_server(d);
        server_start(d);
        crew_end(d, SIGTERM);
        if (!d->always) { /* what is looked at has to be on disk: a kill may follow at once */
            stop_server(d);
            server_start(d);
        }
    } else if (d->always) {
        crew_end(d, SIGTERM);
    } else { /* the engine dies alone */
        for (int i = 0; i < d->nclients; i++)
            if (d->client[i].pid > 0)
                kill(d->client[i].pid, SIGSTOP);
        kill_engine(d);
        crew_end(d, SIGKILL);
        lenient = true;
    }
    judge(d, lenient);
}

static void round_of(struct driver *d, int64_t until)
{
    int64_t end = now_ns() + (int64_t)(1500 + driver_random(d, 3500)) * 1000000;
    while (now_ns() < end && now_ns() < until) {
        crew_look_after(d);
        sleep_ms(50 + (int)driver_random(d, 300));
        if (driver_random(d, 3) == 0)
            trouble(d);
    }
    check(d);
}

/* --- report --- */

static void report(const struct driver *d)
{
    const struct counts *n = &d->model.n;
    const struct deeds *did = &d->did;
    printf("seed %llu, durability %s, %d clients\n", (unsigned long long)d->seed, d->durability,
           d->nclients);
    printf(
        "killed: %d clients, %d engines, %d fronts, %d times everything, %d writers of snapshots; "
        "stopped: %d clients, %d engines, %d writers; connections cut, halved, held up or given "
        "something twice: %d times; "
        "orderly ends: %d; checks: %d\n",
        did->client_kills, did->engine_kills, did->front_kills, did->all_kills, did->writer_kills,
        did->client_stops, did->engine_stops, did->writer_stops, did->network, did->orderly,
        did->checks);
    printf("%llu changes, %llu reads; acknowledged and checked: %llu changes of %llu vectors; "
           "refused: %llu; unknown: %llu (%llu of clients that were killed), of which %llu had "
           "been made\n",
           (unsigned long long)n->operations, (unsigned long long)n->reads,
           (unsigned long long)n->acknowledged, (unsigned long long)n->vectors,
           (unsigned long long)n->refused, (unsigned long long)n->unknown,
           (unsigned long long)n->unheard, (unsigned long long)n->unknown_made);
    printf("clients that gave up: %d; refused starts: %d; vectors lost as allowed: %llu\n",
           did->given_up, did->starts_refused, (unsigned long long)n->forgone);
    tally_print();
    printf("lost %llu, doubled %llu, vanished %llu\n", (unsigned long long)n->lost,
           (unsigned long long)n->doubled, (unsigned long long)n->vanished);
    printf("made in part %llu, returned %llu, unasked %llu, not found %llu, miscounted %llu, wrong "
           "%llu, out of order %llu, stuck %d\n",
           (unsigned long long)n->torn, (unsigned long long)n->returned,
           (unsigned long long)n->unasked, (unsigned long long)n->missing,
           (unsigned long long)n->miscounted, (unsigned long long)n->wrong,
           (unsigned long long)n->disordered, did->stuck);
}

/* A run in which nothing happened has shown nothing. */
static bool is_idle(const struct driver *d)
{
    const struct counts *n = &d->model.n;
    uint64_t least = (uint64_t)d->seconds * (uint64_t)d->nclients;
    const char *why = d->did.checks == 0             ? "nothing was checked"
                      : n->acknowledged < least      ? "too few changes were acknowledged"
                      : n->acknowledged < n->refused ? "most changes were refused"
                      : d->always && d->did.given_up > d->nclients ? "clients give up"
                                                                   : NULL;
    if (why)
        printf("FAULT: %s\n", why);
    return why != NULL;
}

static void parse(struct driver *d, int argc, char **argv)
{
    static const struct option options[] = {{"dir", 1, NULL, 'd'},        {"build", 1, NULL, 'b'},
                                            {"preload", 1, NULL, 'p'},    {"seed", 1, NULL, 's'},
                                            {"seconds", 1, NULL, 't'},    {"clients", 1, NULL, 'c'},
                                            {"durability", 1, NULL, 'D'}, {NULL, 0, NULL, 0}};
    *d = (struct driver){.durability = "always", .seed = 1, .seconds = 20, .nclients = 5};
    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (o) {
        case 'd':
            d->dir = optarg;
            break;
        case 'b':
            d->build = optarg;
            break;
        case 'p':
            d->preload = optarg;
            break;
        case 's':
            d->seed = strtoull(optarg, NULL, 10);
            break;
        case 't':
            d->seconds = atoi(optarg);
            break;
        case 'c':
            d->nclients = atoi(optarg);
            break;
        case 'D':
            d->durability = optarg;
            break;
        default:
            exit(2);
        }
    }
    if (!d->dir || !d->build || !d->preload || d->nclients < 2 || d->nclients > CLIENTS_MAX) {
        fprintf(stderr, "usage: torture --dir DIR --build DIR --preload LIBRARIES [OPTION...]\n");
        exit(2);
    }
    d->options = argv + optind;
    d->random = d->seed * 0x9e3779b97f4a7c15u;
    d->always = strcmp(d->durability, "always") == 0;
    sscanf(d->durability, "interval=%d", &d->interval_ms);
}

int main(int argc, char **argv)
{
    static struct driver d;
    setvbuf(stdout, NULL, _IOLBF, 0);
    parse(&d, argc, argv);
    model_init(&d.model, d.always);
    server_start(&d);
    for (int i = 0; i < SHARED_INDEXES; i++) {
        char name[NAME_SIZE];
        snprintf(name, sizeof name, "shared-%d", i);
        char *args[] = {"make", name, "IDMap2,Flat", NULL};
        if (crew_run(&d, args) != 0) {
            printf("a shared index cannot be published: see %s/dump.log\n", d.dir);
            return 1;
        }
        int index = model_index(&d.model, name);
        d.model.index[index].there = true;
    }
    network_start(&d);
    int64_t until = now_ns() + (int64_t)d.seconds * 1000000000;
    while (now_ns() < until)
        round_of(&d, until);
    stop_server(&d);
    report(&d);
    return is_idle(&d) || model_faults(&d.model) || d.did.stuck ? 1 : 0;
}
