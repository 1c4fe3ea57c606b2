/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "proto/library.h"
#include "server/admin/admin.h"
#include "server/engine/engine.h"
#include "server/front/front.h"
#include "server/library.h"
#include "server/log.h"
#include "server/options.h"

enum { WRONG_USAGE = 2 }; /* exit status, as of `faissx` */

static const char usage[] = "Usage: faissx-server COMMAND [OPTION]...\n"
                            "       faissx-server --help | --version\n";

static void help(void)
{
    printf("%s\n"
           "  run           serve FAISS to libfaissx_c.so and other clients over ZeroMQ\n",
           usage);
    fxa_help();
    puts("\nfaissx-server COMMAND --help describes a command and its options.");
}

/* Returns the exit status after text that was printed: a full disk is an error. */
static int printed(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return 0;
    fputs("faissx-server: cannot write to stdout\n", stderr);
    return 1;
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static int run_front(int argc, char **argv)
{
    struct fxs_options options = {.help = argc == 2 && is_help(argv[1])};
    char library[FXS_LIBRARY_MAX], why[8192];
    if (!options.help && fxs_options_run(&options, argc, argv) != 0)
        return WRONG_USAGE;
    if (options.help) {
        fxs_options_help(stdout);
        return printed();
    }
    if (fx_library_find(options.library, library, sizeof library, why, sizeof why) != 0) {
        fprintf(stderr, "faissx-server: found no libfaiss_c to serve\n%s\n", why);
        return 1;
    }
    options.library = library;
    if (fxs_library_try(library, why, sizeof why) != 0) {
        fxs_log(FXS_ERROR, "front", "event=cannot-load-library path=%s why=\"%s\"", library, why);
        return 1;
    }
    fxs_log(FXS_INFO, "front", "event=library path=%s", library);
    return fxs_front_run(&options);
}

/* Runs as an engine: the front starts this program so for each tenant. */
static int run_engine(int argc, char **argv)
{
    sigset_t mask;
    /* An engine exits when its link is closed.  This kills it even if it cannot read that. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* Only the front tells an engine to stop: ignore signals to all processes of the service. */
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGPIPE, SIG_IGN); /* FAISS prints, and the reader of stdout may be gone */
    sigemptyset(&mask);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    return fxe_main(argc, argv);
}

/* Opens descriptors 0 to 2 if they are closed: otherwise the first socket would get such a number,
 * and output would go to a client. */
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
    signal(SIGXFSZ, SIG_IGN); /* survive a log file that has reached its limit (ulimit -f) */
    if (strcmp(command, "run") == 0)
        return run_front(argc - 1, argv + 1);
    if (strcmp(command, "engine") == 0)
        return run_engine(argc - 1, argv + 1);
    if (strcmp(command, "--version") == 0) {
        puts("faissx-server " FAISSX_VERSION);
        return printed();
    }
    if (is_help(command) || strcmp(command, "help") == 0) {
        help();
        return printed();
    }
    int status = argc > 1 ? fxa_main(argc - 1, argv + 1) : -1;
    if (status >= 0)
        return status;
    if (argc > 1)
        fprintf(stderr, "faissx-server: unknown command '%s'\n", command);
    fprintf(stderr, "%sTry: faissx-server --help\n", usage);
    return WRONG_USAGE;
}
