/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crash LIBRARY [OPTION...]: runs every life, or some, in child processes that may crash.
 *
 * Prints a line for each life: family, kind, metric, vectors, a character for each step, a
 * character for the state before each step (see crash.h), the shape, and milliseconds.  Prints one
 * more line for each death: "died", kind, metric, vectors, the step, the signal, and the last text
 * on stderr.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "crash.h"
#include "server/engine/guard/catch.h"

struct fx_api api;

/* A server may try a call for a while before it answers, hence STUCK_SECONDS_REMOTE. */
enum { BATCH = 400, MEMORY = 4, STUCK_SECONDS = 60, STUCK_SECONDS_REMOTE = 600, PROGRESS_MS = 10 };

/* Kinds that are not tried in full get only the first of these. */
static const int metrics[] = {1, 0, 2, 4, 22, 24, 3, 20, 21, 23, 25, 99};
enum { METRICS = sizeof metrics / sizeof *metrics, SLOW_METRICS = 4, NESTED_METRICS = 3 };

static struct life *lives;
static int nlives;
static int longest; /* milliseconds for each step; 0: by kind */
static int diary;   /* memfd: stderr of the children */
static int threads; /* of OpenMP */

static void load(const char *path)
{
    fx_any_fn *slots = (fx_any_fn *)&api;
    void *dl = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!dl) {
        fprintf(stderr, "crash: %s\n", dlerror());
        exit(2);
    }
    for (int op = 1; op < FX_NOPS; op++) {
        void *sym = dlsym(dl, fx_fns[op].name);
        memcpy(&slots[op - 1], &sym, sizeof sym);
    }
    if (!remote)
        fxe_catch_init(dl);
    if (!api.index_factory) {
        fprintf(stderr, "crash: %s has no functions of FAISS\n", path);
        exit(2);
    }
}

struct choice {
    int part, parts, sample, depth;
    const char *kind, *metric, *variant;
};

static int chosen(const struct choice *c, const struct kind *k, int metric, int variant)
{
    return (c->depth < 0 || (int)k->depth == c->depth) &&
           (!c->kind || strcmp(c->kind, k->name) == 0) &&
           (!c->metric || atoi(c->metric) == metric) &&
           (!c->variant || strcmp(c->variant, variant_names[variant]) == 0);
}

static void choose(const struct choice *c)
{
    int n, number = 0;
    const struct kind *kinds = grammar(&n);
    lives = calloc((size_t)n * METRICS * NVARIANTS, sizeof *lives);
    if (!lives)
        abort();
    for (int i = 0; i < n; i++)
        for (int m = 0; m < METRICS; m++) {
            static const int most_metrics[] = {METRICS, SLOW_METRICS, NESTED_METRICS, 2},
                             most_variants[] = {NVARIANTS, SLOW_VARIANTS, NESTED_VARIANTS,
                                                SLOW_VARIANTS};
            enum depth deep = kinds[i].depth;
            if (m >= (kinds[i].family == BINARY ? 1 : most_metrics[deep]))
                break;
            int variants = m < SLOW_METRICS ? most_variants[deep] : NESTED_VARIANTS;
            for (int v = 0; v < variants; v++) {
                if (!chosen(c, &kinds[i], metrics[m], v))
                    continue;
                int at = number++;
                /* The high bits: the low ones would choose the same vectors of every kind. */
                if (c->sample > 1 && ((unsigned)at * 2654435761u >> 16) % (unsigned)c->sample != 0)
                    continue;
                /* Neighbours go to the same process, whose caches have what they need. */
                if (at / 64 % c->parts == c->part)
                    lives[nlives++] = (struct life){&kinds[i], metrics[m], (enum variant)v};
            }
        }
}

static void print(const struct life *l)
{
    static const char *const families[] = {"factory", "binary", "made"};
    printf("%s\t%s\t%d\t%s\t%.*s\t%.*s\t%s\t%d\n", families[l->kind->family], l->kind->name,
           l->metric, variant_names[l->variant], NSTEPS, place->outcome, NSTEPS, place->state,
           place->shape, place->ms);
}

/* A step that ended several children with a kind and a metric, and never succeeded, is not tried
 * with other vectors.  A step that never returned is not tried with other metrics either. */
static struct record {
    int life; /* the last life counted, or -1 */
    unsigned char deaths[NSTEPS], good[NSTEPS], hangs[NSTEPS];
    unsigned char mortal[NSTEPS]; /* steps that ended a child with this kind and any metric */
    int any_mortal, total;        /* total: deaths of all kinds */
} * record;                       /* for the current kind and metric; shared with children */

static int enough(const struct life *l)
{
    return l->kind->depth == FULL ? 3 : 2;
}

static int is_same(const struct life *a, const struct life *b)
{
    return a->kind == b->kind && a->metric == b->metric;
}

static void look_back(int from)
{
    const struct life *was = record->life < 0 ? NULL : &lives[record->life];
    if (!was || was->kind != lives[from].kind) {
        *record = (struct record){.total = record->total};
    } else if (!is_same(was, &lives[from])) {
        memset(record->deaths, 0, sizeof record->deaths);
        memset(record->good, 0, sizeof record->good);
    }
    record->life = from;
}

static void remember(void)
{
    for (int k = 0; k < NSTEPS; k++) {
        char c = place->outcome[k];
        record->good[k] |= c == 'o' || c == 'e';
        record->deaths[k] += c == 'x' || c == 's';
        record->hangs[k] += c == 'h';
    }
}

static char hopeless(const struct life *l, int step)
{
    return (record->deaths[step] >= enough(l) && !record->good[step]) || record->hangs[step] >= 1
               ? '~'
               : 0;
}

static void last_words(char *text, size_t len)
{
    char buf[4096];
    off_t size = lseek(diary, 0, SEEK_END);
    off_t from = size > (off_t)sizeof buf - 1 ? size - (off_t)sizeof buf + 1 : 0;
    ssize_t n = pread(diary, buf, sizeof buf - 1, from);
    buf[n > 0 ? n : 0] = '\0';
    for (char *p = buf; *p; p++)
        if (*p == '\n' || *p == '\t')
            *p = ' ';
    char *what = strstr(buf, "what():");
    char *assertion = strstr(buf, "Faiss assertion");
    snprintf(text, len, "%s", what ? what + 9 : assertion ? assertion : buf);
    if (ftruncate(diary, 0) == 0)
        lseek(diary, 0, SEEK_SET);
}

static long cpu_ms(clockid_t clock)
{
    struct timespec t;
    return clock_gettime(clock, &t) == 0 ? t.tv_sec * 1000L + t.tv_nsec / 1000000 : 0;
}

/* Waits for the child and returns its status.  Kills a child that stays in one step for too long
 * without using processor time; if it does use processor time, its timer ends it (life.c).  A
 * client of a server waits without using any, so only the time counts. */
static int wait_for(pid_t pid)
{
    int status, life = -1, step = -1, fd = (int)syscall(SYS_pidfd_open, pid, 0);
    long used = 0;
    time_t since = time(NULL);
    clockid_t clock;
    if (clock_getcpuclockid(pid, &clock) != 0)
        clock = CLOCK_PROCESS_CPUTIME_ID; /* the child has ended already */
    for (;;) {
        pid_t got = waitpid(pid, &status, WNOHANG);
        if (got == pid) {
            close(fd);
            return status;
        }
        long now = cpu_ms(clock);
        if (place->life != life || place->step != step || (!remote && now - used > PROGRESS_MS)) {
            life = place->life;
            step = place->step;
            used = now;
            since = time(NULL);
        } else if (time(NULL) - since > (remote ? STUCK_SECONDS_REMOTE : STUCK_SECONDS)) {
            kill(pid, SIGALRM);
        }
        struct pollfd p = {.fd = fd, .events = POLLIN};
        poll(&p, 1, fd < 0 ? 1 : 200);
    }
}

/* Prints how a child died in the current step and life, and returns the character for it. */
static char report(int status)
{
    const struct life *l = &lives[place->life];
    int sig = WIFSIGNALED(status) ? WTERMSIG(status) : 0, step = place->step;
    int hung = sig == SIGPROF || sig == SIGALRM;
    char text[4096];
    last_words(text, sizeof text);
    printf("died\t%s\t%d\t%s\t%s\t%s\t%.200s\n", l->kind->name, l->metric,
           variant_names[l->variant], step < 0 ? "?" : step_names[step],
           hung  ? "hang"
           : sig ? strsignal(sig)
                 : "exit",
           text);
    fflush(stdout);
    record->total++;
    record->any_mortal = 1;
    if (step >= 0)
        record->mortal[step] = 1;
    return hung ? 'h' : sig == SIGABRT ? 'x' : 's';
}

int rehearsing;

/* A life whose child died is led again from the beginning, which takes long.  So where deaths are
 * likely, because there were some with this kind, a call is made in a copy of the child first.  A
 * copy has one thread only, so not with several OpenMP threads, nor with shards, which have threads
 * of their own. */
char rehearse(enum step s)
{
    int slow = s == STEP_create || s == STEP_shape || s == STEP_train || s == STEP_retrain;
    if (remote || threads > 1 || lives[place->life].kind->family == MADE || rehearsing ||
        !record->any_mortal || (slow && !record->mortal[s]))
        return 0;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        rehearsing = 1;
    if (pid <= 0)
        return 0;
    int status = wait_for(pid);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : report(status);
}

static void child(int from, int redo)
{
    struct rlimit memory = {(rlim_t)MEMORY << 30, (rlim_t)MEMORY << 30}, core = {0, 0};
    if (!remote)
        setrlimit(RLIMIT_AS, &memory);
    setrlimit(RLIMIT_CORE, &core);
    signal(SIGPROF, SIG_DFL);
    if (!getenv("FX_CRASH_STDERR"))
        dup2(diary, STDERR_FILENO);
    for (int i = from; i < nlives && i < from + BATCH; i++) {
        look_back(i);
        if (i != from || !redo)
            for (int k = 0; k < NSTEPS; k++)
                place->skip[k] = hopeless(&lives[i], k);
        static const int ms[] = {1000, 5000, 2000, 2000};
        step_ms = longest ? longest : ms[lives[i].kind->depth];
        place->life = i;
        place->step = -1;
        struct timespec a, b;
        clock_gettime(CLOCK_MONOTONIC, &a);
        life_lead(&lives[i]);
        clock_gettime(CLOCK_MONOTONIC, &b);
        place->ms = (int)((b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000);
        print(&lives[i]);
        fflush(stdout);
        remember();
        place->done = i + 1;
    }
    _exit(0);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"part", required_argument, NULL, 'p'},    {"sample", required_argument, NULL, 's'},
        {"kind", required_argument, NULL, 'k'},    {"metric", required_argument, NULL, 'm'},
        {"vectors", required_argument, NULL, 'v'}, {"ms", required_argument, NULL, 't'},
        {"list", no_argument, NULL, 'l'},          {"depth", required_argument, NULL, 'd'},
        {"remote", no_argument, NULL, 'r'},        {0}};
    struct choice c = {.parts = 1, .sample = 1, .depth = -1};
    int o, list = 0;
    while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (o == 'p')
            sscanf(optarg, "%d/%d", &c.part, &c.parts);
        else if (o == 's')
            c.sample = atoi(optarg);
        else if (o == 'k')
            c.kind = optarg;
        else if (o == 'm')
            c.metric = optarg;
        else if (o == 'v')
            c.variant = optarg;
        else if (o == 't')
            longest = atoi(optarg);
        else if (o == 'r')
            remote = 1;
        else if (o == 'd')
            c.depth = atoi(optarg);
        else if (o == 'l')
            list = 1;
        else
            return 2;
    }
    if (optind >= argc) {
        fprintf(stderr, "usage: crash LIBRARY [--part I/N] [--sample N] [--kind NAME] ...\n");
        return 2;
    }
    setenv("OMP_NUM_THREADS", "1", 0);
    threads = atoi(getenv("OMP_NUM_THREADS"));
    setenv("OMP_WAIT_POLICY", "PASSIVE", 0);
    setenv("OPENBLAS_NUM_THREADS", "1", 0);
    choose(&c);
    if (list) {
        printf("%d\n", nlives);
        return 0;
    }
    load(argv[optind]);
    place = mmap(NULL, sizeof *place, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    record = mmap(NULL, sizeof *record, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    diary = memfd_create("stderr", MFD_CLOEXEC);
    if (place == MAP_FAILED || record == MAP_FAILED || diary < 0)
        return 2;
    record->life = -1;
    for (int redo = 0; place->done < nlives;) {
        int from = place->done;
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0)
            child(from, redo);
        if (pid < 0) {
            perror("crash: fork");
            return 2;
        }
        int status = wait_for(pid);
        redo = 0;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
            continue;
        int step = place->step;
        char outcome = report(status);
        redo = 1;
        if (step < 0) { /* not in a call: give up on this life */
            print(&lives[place->life]);
            place->done = place->life + 1;
            redo = 0;
            continue;
        }
        place->skip[step] = outcome;
        place->done = place->life;
    }
    fprintf(stderr, "crash: %d lives, %d deaths\n", nlives, record->total);
    return 0;
}
