/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/guard/trial.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "server/engine/engine.h"
#include "server/engine/guard/catch.h"
#include "server/engine/run/wide.h"
#include "server/log.h"

enum {
    LOOK_MS = 50,       /* how often to read the clock of the child */
    STUCK_MS = 4000,    /* without progress for so long: waits for a lock that nobody holds */
    STUCK_NS = 1000000, /* processor time that counts as progress */
    SPARE = 8 << 20     /* bytes of memory that the call must leave */
};

/* --- the child --- */

static void close_from(int first)
{
#ifdef SYS_close_range
    if (syscall(SYS_close_range, (unsigned)first, ~0u, 0u) == 0)
        return;
#endif
    for (int fd = first, end = (int)sysconf(_SC_OPEN_MAX); fd < end && fd < 65536; fd++)
        close(fd);
}

/* Other calls take memory between the trial and the call. */
static void lower_limit(void)
{
    struct rlimit data;
    if (getrlimit(RLIMIT_DATA, &data) == 0 && data.rlim_cur != RLIM_INFINITY &&
        data.rlim_cur > SPARE) {
        data.rlim_cur -= SPARE;
        setrlimit(RLIMIT_DATA, &data);
    }
}

/* The child must not keep clients' connections open, nor outlive the engine. */
static void child(void (*f)(void *), void *arg, int diary, const struct fxe_served *served)
{
    char text[256];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(diary, STDERR_FILENO);
    dup2(diary, STDOUT_FILENO);
    if (served) {
        int out = fcntl(served->childs[1], F_DUPFD, FXE_TRIAL_OUT + 1);
        dup2(served->childs[0], FXE_TRIAL_IN);
        dup2(out, FXE_TRIAL_OUT);
    }
    close_from(served ? FXE_TRIAL_OUT + 1 : STDERR_FILENO + 1);
    fxe_wide_set_width(1); /* the threads of OpenMP's pool exist in the parent only */
    fxe_engine.cores = 1;
    lower_limit();
    fxe_catch(f, arg, text, sizeof text); /* an exception is a valid result */
    _exit(0);
}

/* --- the engine --- */

static long cpu_ns(clockid_t clock)
{
    struct timespec t;
    return clock_gettime(clock, &t) == 0 ? t.tv_sec * 1000000000L + t.tv_nsec : -1;
}

/* Waits until the child has ended or must be killed.  Returns FXE_TRIAL_ENDED if it has ended, in
 * whatever way. */
static enum fxe_trial watch_child(pid_t pid, double seconds, const struct fxe_served *served)
{
    clockid_t clock;
    long before = 0;
    int still = 0;
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    enum fxe_trial end = FXE_TRIAL_ENDED;
    if (clock_getcpuclockid(pid, &clock) != 0)
        clock = CLOCK_PROCESS_CPUTIME_ID; /* the child has ended already */
    while (end == FXE_TRIAL_ENDED) {
        struct pollfd p[2] = {{.fd = fd, .events = POLLIN},
                              {.fd = served ? served->asked : -1, .events = POLLIN}};
        siginfo_t info = {.si_pid = 0};
        int n = poll(p, 2, fd < 0 ? 1 : LOOK_MS); /* without a pidfd: a short sleep */
        if (n > 0 && p[1].revents & POLLIN) {
            if (served->serve(served->ctx) != 0)
                end = FXE_TRIAL_UNKNOWN;
            still = 0;
            continue;
        }
        if (n > 0 && p[0].revents)
            break;
        if (n > 0 && p[1].revents) {
            served = NULL; /* the child closed its end and will not ask again */
            continue;
        }
        if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT | WNOHANG) != 0 || info.si_pid)
            break;
        long now = cpu_ns(clock);
        still = now >= 0 && now - before < STUCK_NS ? still + (fd < 0 ? 1 : LOOK_MS) : 0;
        if (still == 0)
            before = now;
        if (now > (long)(seconds * 1e9))
            end = FXE_TRIAL_LONG;
        else if (still > STUCK_MS)
            end = FXE_TRIAL_UNKNOWN;
    }
    if (fd >= 0)
        close(fd);
    return end;
}

/* Writes the last message of FAISS or of the C++ runtime to `text`: that of an uncaught exception
 * or a failed assertion, or "". */
static void last_words(int diary, char *text, size_t len)
{
    char buf[2048];
    off_t size = lseek(diary, 0, SEEK_END),
          from = size >= (off_t)sizeof buf ? size - (off_t)sizeof buf + 1 : 0;
    ssize_t n = pread(diary, buf, sizeof buf - 1, from);
    buf[n > 0 ? n : 0] = '\0';
    const char *what = strstr(buf, "what():  "), *assertion = strstr(buf, "Faiss assertion ");
    const char *say = what ? what + strlen("what():  ") : assertion;
    if (say && *say)
        snprintf(text, len, "%.*s", (int)strcspn(say, "\n"), say);
    else
        *text = '\0';
}

static enum fxe_trial died(int status, int diary, char *why, size_t len)
{
    char words[1024];
    int sig = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    last_words(diary, words, sizeof words);
    if (sig)
        snprintf(why, len, "%s%s%s", strsignal(sig), *words ? ": " : "", words);
    else
        snprintf(why, len, "exit status %d%s%s", WEXITSTATUS(status), *words ? ": " : "", words);
    return FXE_TRIAL_DIED;
}

enum fxe_trial fxe_trial(void (*f)(void *), void *arg, double seconds, char *why, size_t len)
{
    return fxe_trial_served(f, arg, seconds, NULL, why, len);
}

enum fxe_trial fxe_trial_served(void (*f)(void *), void *arg, double seconds,
                                const struct fxe_served *served, char *why, size_t len)
{
    int status = 0, diary = memfd_create("trial", MFD_CLOEXEC);
    pid_t pid = diary < 0 ? -1 : fork();
    *why = '\0';
    if (pid == 0)
        child(f, arg, diary, served);
    for (int i = 0; served && i < 2; i++)
        close(served->childs[i]);
    if (pid < 0) {
        fxs_log(FXS_WARN, "engine", "event=no-trial errno=%d", errno);
        if (diary >= 0)
            close(diary);
        return FXE_TRIAL_UNKNOWN;
    }
    enum fxe_trial end = watch_child(pid, seconds, served);
    if (end != FXE_TRIAL_ENDED)
        kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (end == FXE_TRIAL_ENDED && !(WIFEXITED(status) && WEXITSTATUS(status) == 0))
        end = died(status, diary, why, len);
    close(diary);
    return end;
}
