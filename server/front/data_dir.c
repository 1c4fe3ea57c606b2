/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory of --data-dir:
 *
 *     lock             locked while a server uses it; says which one
 *     tenants/NAME/    the store of a tenant (fxs_tenant_dir)
 *     restoring/       as tenants/, while faissx-server restore writes it
 *     repairing/       a store that faissx-server repair is about to put in its place
 *     lost+found/      stores that faissx-server repair has replaced
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/front/state.h"
#include "server/log.h"
#include "server/store/store.h"

static int make(const char *path)
{
    struct stat st;
    if (mkdir(path, 0700) == 0)
        return 0;
    if (errno != EEXIST || stat(path, &st) != 0)
        return -1;
    errno = ENOTDIR;
    return S_ISDIR(st.st_mode) ? 0 : -1;
}

static int failed(const char *path, const char *why)
{
    fprintf(stderr, "faissx-server: --data-dir %s: %s\n", path, why);
    return -1;
}

/* The lock ends with the process, however that ends.  What the file says is for people only. */
static int lock(struct fxs_front *f, const char *dir)
{
    char path[PATH_MAX], host[64] = "", text[128];
    if (snprintf(path, sizeof path, "%s/lock", dir) >= (int)sizeof path)
        return failed(dir, strerror(ENAMETOOLONG));
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return failed(dir, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        ssize_t n = read(fd, text, sizeof text - 1);
        text[n > 0 ? n : 0] = '\0';
        text[strcspn(text, "\n")] = '\0';
        fprintf(stderr, "faissx-server: --data-dir %s: another server uses it: %s\n", dir, text);
        close(fd);
        return -1;
    }
    gethostname(host, sizeof host - 1);
    int n = snprintf(text, sizeof text, "process %d on %s\n", (int)getpid(), host);
    f->data_lock = fd;
    if (ftruncate(fd, 0) != 0 || write(fd, text, (size_t)n) != n)
        fxs_log(FXS_WARN, "front", "event=lock-says-nothing path=%s why=\"%s\"", path,
                strerror(errno)); /* with a full disk, searches go on */
    return 0;
}

int fxs_data_dir_open(struct fxs_front *f)
{
    const char *dir = f->options->data_dir;
    char path[PATH_MAX];
    if (!dir) {
        fxs_log(FXS_INFO, "front",
                "event=keeps-nothing why=\"no --data-dir: indexes are lost with their engine\"");
        return 0;
    }
    if (make(dir) != 0)
        return failed(dir, strerror(errno));
    if (snprintf(path, sizeof path, "%s/tenants", dir) >= (int)sizeof path || make(path) != 0)
        return failed(dir, strerror(errno));
    if (lock(f, dir) != 0)
        return -1;
    /* faissx-server restore gives it its name, tenants, when it is complete. */
    if (snprintf(path, sizeof path, "%s/restoring", dir) < (int)sizeof path &&
        access(path, F_OK) == 0)
        return failed(dir, "it was not restored completely; remove it, and restore it again");
    /* A tenant may have no store now, and must not get an empty one. */
    if (snprintf(path, sizeof path, "%s/repairing", dir) < (int)sizeof path &&
        access(path, F_OK) == 0)
        return failed(dir, "its repair was interrupted: run faissx-server repair again");
    fxs_log(FXS_INFO, "front", "event=data-dir path=%s durability=%s", dir,
            f->options->durability_text ? f->options->durability_text : "always");
    return 0;
}

int fxs_data_dir_of(const struct fxs_front *f, const char *tenant, char *path, size_t len)
{
    char name[FXS_TENANT_DIR];
    path[0] = '\0';
    if (!f->options->data_dir)
        return 0;
    if (fxs_tenant_dir(tenant, name) != 0 ||
        snprintf(path, len, "%s/tenants/%s", f->options->data_dir, name) >= (int)len) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return make(path);
}
