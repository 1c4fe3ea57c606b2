/* SPDX-License-Identifier: Apache-2.0 */
/* System calls that an engine gives up: new sockets and connections, starting programs, access to
 * the memory, files and limits of other processes.  It serves connections that are handed to it and
 * needs none of these.  It does send signals, to its own children; Landlock keeps it from sending
 * any to others (sandbox.c). */
#include <errno.h>
#include <seccomp.h>
#include <stddef.h>
#include <string.h>

#include "server/engine/guard/sandbox.h"
#include "server/log.h"

static const int refused[] = {
    SCMP_SYS(socket),
    SCMP_SYS(socketpair),
    SCMP_SYS(connect),
    SCMP_SYS(bind),
    SCMP_SYS(listen),
    SCMP_SYS(accept),
    SCMP_SYS(accept4),
    SCMP_SYS(io_uring_setup), /* opens sockets and files without their system calls */
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(process_madvise),
    SCMP_SYS(pidfd_getfd),
    SCMP_SYS(kcmp),
    SCMP_SYS(perf_event_open),
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* their reports need these */
    SCMP_SYS(ptrace),
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
#endif
};

/* Returns 0 or a negative errno. */
static int restrict_self(void)
{
    /* A process; 0 is the caller. */
    const struct scmp_arg_cmp other = {.arg = 0, .op = SCMP_CMP_NE, .datum_a = 0};
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    int rc = filter ? 0 : -ENOMEM;
    for (size_t i = 0; i < sizeof refused / sizeof *refused && rc == 0; i++)
        rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), refused[i], 0);
    if (rc == 0)
        rc = seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(prlimit64), 1, &other);
    if (rc == 0)
        rc = seccomp_load(filter);
    if (filter)
        seccomp_release(filter);
    return rc;
}

void fxe_sandbox_syscalls(int devices)
{
    int rc = devices ? -ENODEV : restrict_self();
    if (rc == 0)
        fxs_log(FXS_INFO, "engine", "event=sandbox sockets=none");
    else
        fxs_log(FXS_INFO, "engine", "event=sandbox sockets=all why=\"%s\"",
                devices ? "the driver of a GPU needs them" : strerror(-rc));
}
