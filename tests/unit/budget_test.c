/* SPDX-License-Identifier: Apache-2.0 */
/* The memory that the engines are given: processes of this test stand for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/front/state.h"

enum { MIB = 1 << 20, HAS = 1000, MORE = 500 };

/* Returns a process that has HAS MiB. */
static pid_t start_process(void)
{
    int done[2];
    char c;
    assert_int_equal(pipe(done), 0);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG,
              SIGKILL); /* whoever runs the test waits for the end of its output */
        void *p = mmap(NULL, (size_t)HAS * MIB, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p != MAP_FAILED && write(done[1], "", 1) == 1)
            for (;;)
                pause();
        _exit(1);
    }
    assert_true(pid > 0);
    close(done[1]);
    assert_int_equal(read(done[0], &c, 1), 1);
    close(done[0]);
    return pid;
}

static void end_process(pid_t pid)
{
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* What an engine that starts or ends has is not given to another one. */
static void the_memory_of_every_process_counts(void **state)
{
    static const enum fxs_engine_state states[] = {FXS_STARTING, FXS_RUNNING, FXS_DYING};
    struct fxs_options options = {0};
    struct fxs_front f = {.options = &options};
    struct fxs_engine *one = fxs_engine_of(&f.engines, "one"),
                      *other = fxs_engine_of(&f.engines, "other");
    struct rlimit limit;
    (void)state;
    one->pid = start_process();
    other->pid = start_process();
    other->state = FXS_RUNNING;
    for (int i = 0; i < 3; i++) {
        one->state = states[i];
        options.total_memory = 1 << 20;
        fxs_budget_divide(&f);
        assert_true(one->used >= (uint64_t)HAS * MIB);
        options.total_memory = (int)((one->used + other->used) / MIB) + MORE;
        fxs_budget_divide(&f);
        assert_int_equal(prlimit(other->pid, RLIMIT_DATA, NULL, &limit), 0);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        assert_in_range(limit.rlim_cur, other->used, other->used + (uint64_t)(MORE + 1) * MIB);
#endif
    }
    end_process(one->pid);
    one->state = FXS_DOWN;
    one->pid = 0;
    fxs_budget_divide(&f);
    assert_int_equal(one->used, 0);
    end_process(other->pid);
    fxs_engines_free(&f.engines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_memory_of_every_process_counts),
    };
    return cmocka_run_group_tests_name("budget", tests, NULL, NULL);
}
