/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "engine/engine.h"
#include "front/front.h"
#include "library.h"
#include "log.h"
#include "options.h"

static const char usage[] =
    "Usage: faissx-server run [OPTION]...\n"
    "       faissx-server --help | --version\n"
    "\n"
    "  run    serve FAISS to libfaissx_c.so and other clients over ZeroMQ;\n"
    "         faissx-server run --help lists its options\n";

static int run(int argc, char **argv)
{
    struct fxs_options options;
    char why[8192];
    int status = 1;
    switch (fxs_options_parse(&options, argc, argv)) {
    case FXS_HELP:
        fputs(fxs_options_help(), stdout);
        status = 0;
        break;
    case FXS_WRONG:
        break;
    case FXS_RUN:
        if (fx_library_find(options.wanted, options.library, sizeof(options.library), why,
                            sizeof(why)) != 0) {
            fprintf(stderr, "faissx-server: there is no libfaiss_c to serve\n%s\n", why);
            break;
        }
        fxs_log(FXS_INFO, "front", "library path=%s", options.library);
        status = fxs_front_run(&options);
    }
    fxs_options_free(&options);
    return status;
}

/* An engine: how the front starts this program for a tenant. */
static int run_engine(int argc, char **argv)
{
    sigset_t mask;
    /* It ends when its link does.  Should it not come to read that, it dies anyway. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* Only the front says when to stop: signals to the whole group are not for us. */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGPIPE, SIG_IGN); /* FAISS prints, and nobody may read it */
    sigemptyset(&mask);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    return fx_engine_main(argc, argv);
}

/* Without them, the first socket would become somebody's standard output. */
static void open_standard_files(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd < 3);
    if (fd >= 0)
        close(fd);
}

int main(int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : "";
    open_standard_files();
    signal(SIGXFSZ, SIG_IGN); /* a log that may not grow any more (ulimit -f) is not the end */
    if (strcmp(command, "run") == 0)
        return run(argc - 1, argv + 1);
    if (strcmp(command, "engine") == 0)
        return run_engine(argc - 1, argv + 1);
    if (strcmp(command, "--version") == 0) {
        puts("faissx-server " FAISSX_VERSION);
        return 0;
    }
    if (strcmp(command, "--help") == 0 || strcmp(command, "help") == 0) {
        fputs(usage, stdout);
        return 0;
    }
    if (argc > 1)
        fprintf(stderr, "faissx-server: unknown command '%s'\n", command);
    fputs(usage, stderr);
    return 1;
}
