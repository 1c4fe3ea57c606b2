/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/guard/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "server/log.h"

#if __has_include(<linux/landlock.h>) && defined(SYS_landlock_create_ruleset)

#include <linux/landlock.h>

/* Access rights of Landlock, with the version of its interface that added them.  They are defined
 * here because headers may be older than the kernel. */
enum {
    EXECUTE = 1 << 0,
    WRITE_FILE = 1 << 1,
    READ_FILE = 1 << 2,
    READ_DIR = 1 << 3,
    VERSION_1 = (1 << 13) - 1,
    REFER = 1 << 13,     /* 2 */
    TRUNCATE = 1 << 14,  /* 3 */
    IOCTL_DEV = 1 << 15, /* 5 */
};

/* The kernel's struct landlock_ruleset_attr of version 6, which Debian 12's header is older than.
 */
struct attributes {
    uint64_t files, network, scoped;
};
enum {
    SCOPE_ABSTRACT_SOCKETS = 1 << 0,
    SCOPE_SIGNALS = 1 << 1 /* to processes that are not confined, or not by this */
};

static uint64_t rights(long version)
{
    uint64_t all = VERSION_1;
    if (version >= 2)
        all |= REFER;
    if (version >= 3)
        all |= TRUNCATE;
    if (version >= 5)
        all |= IOCTL_DEV;
    return all;
}

struct rules {
    int fd;
    uint64_t handled;
};

static void allow(const struct rules *r, const char *path, uint64_t access)
{
    struct landlock_path_beneath_attr rule = {.allowed_access = access & r->handled};
    rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
    if (rule.parent_fd < 0)
        return;
    syscall(SYS_landlock_add_rule, r->fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    close(rule.parent_fd);
}

/* Allows reading the folder of a loaded library if it is a library folder, such as .../lib or
 * .../lib64/x, and not, say, a home directory. */
static int allow_folder(struct dl_phdr_info *info, size_t size, void *arg)
{
    char path[PATH_MAX];
    (void)size;
    if (!info->dlpi_name || !realpath(info->dlpi_name, path))
        return 0;
    *strrchr(path, '/') = '\0';
    const char *lib = strstr(path, "/lib");
    if (lib && (lib[4] == '\0' || lib[4] == '/' || strncmp(lib + 4, "64", 2) == 0 ||
                strncmp(lib + 4, "32", 2) == 0))
        allow(arg, path, EXECUTE | READ_FILE | READ_DIR);
    return 0;
}

static int restrict_self(int devices, const char *dir, bool *signals)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 1)
        return -1;
    struct rules r = {.handled = rights(version)};
    struct attributes attr = {.files = r.handled};
    *signals = version >= 6;
    if (*signals)
        attr.scoped = SCOPE_ABSTRACT_SOCKETS | SCOPE_SIGNALS;
    r.fd = (int)syscall(SYS_landlock_create_ruleset, &attr,
                        *signals ? sizeof attr : sizeof attr.files, 0);
    if (r.fd < 0)
        return -1;
    dl_iterate_phdr(allow_folder, &r);
    allow(&r, "/dev/null", READ_FILE | WRITE_FILE);
    if (*dir)
        allow(&r, dir, r.handled & ~(uint64_t)EXECUTE);
    if (devices) {
        allow(&r, "/dev", READ_FILE | READ_DIR | WRITE_FILE | IOCTL_DEV);
        allow(&r, "/proc", READ_FILE | READ_DIR | WRITE_FILE);
        allow(&r, "/sys", READ_FILE | READ_DIR);
    }
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    allow(&r, "/", EXECUTE | READ_FILE | READ_DIR); /* sanitizer reports read many files */
#endif
    int rc = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (rc == 0)
        rc = (int)syscall(SYS_landlock_restrict_self, r.fd, 0);
    int why = errno;
    close(r.fd);
    errno = why;
    return rc;
}

#else

static int restrict_self(int devices, const char *dir, bool *signals)
{
    (void)devices;
    (void)dir;
    *signals = false;
    errno = ENOSYS;
    return -1;
}

#endif

void fxe_sandbox(int devices, const char *dir)
{
    bool signals;
    if (restrict_self(devices, dir, &signals) == 0)
        fxs_log(FXS_INFO, "engine", "event=sandbox files=%s signals=%s", *dir ? dir : "none",
                signals ? "own" : "all");
    else
        fxs_log(FXS_INFO, "engine",
                "event=sandbox files=all why=\"no Landlock: %s; index files with lists on disk "
                "can open files of this user\"",
                strerror(errno));
}
