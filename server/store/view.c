/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a store for reading only, while another process may write to it. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "server/store/internal.h"
#include "server/store/mark.h"
#include "server/store/stream.h"

void (*fxs_store_moved)(uint64_t bytes);

enum fxs_store_rc fxs_view_dir(struct fxs_store **out, const char *dir, char *why)
{
    struct fxs_store *s = calloc(1, sizeof *s);
    *out = NULL;
    if (!s)
        return fxs_why(FXS_STORE_MEMORY, why, "no memory to open %s", dir);
    s->lock = s->mark_fd = s->wal_fd = s->segments.fd = -1;
    fxs_init_locks(s);
    s->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->dir >= 0) /* else it would change errno, which says why */
        s->path = realpath(dir, NULL);
    if (s->dir < 0 || !s->path) {
        enum fxs_store_rc rc = fxs_why(errno == ENOENT ? FXS_STORE_NONE : FXS_STORE_FAILED, why,
                                       "cannot open the directory %s: %s", dir, strerror(errno));
        fxs_store_close(s);
        return rc;
    }
    *out = s;
    return FXS_STORE_OK;
}

enum fxs_store_rc fxs_view_log(struct fxs_store *s, char *why)
{
    char who[FXS_WHO];
    if (s->mark || fxs_store_in_use(s->path, who) || faccessat(s->dir, "replaying", F_OK, 0) != 0)
        return FXS_STORE_OK;
    fxs_mark_view(s);
    return fxs_mark_verify(s, why);
}

enum fxs_store_rc fxs_view_database(struct fxs_store *s, char *why)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/store.db", s->path);
    if (faccessat(s->dir, "store.db", F_OK, 0) != 0)
        return fxs_why(errno == ENOENT ? FXS_STORE_NONE : FXS_STORE_FAILED, why, "%s: %s", path,
                       strerror(errno));
    return fxs_db_view(&s->reader, path, why);
}

enum fxs_store_rc fxs_store_look(struct fxs_store **out, const char *dir, char *why)
{
    enum fxs_store_rc rc = fxs_view_dir(out, dir, why);
    if (rc != FXS_STORE_OK)
        return rc;
    if (faccessat((*out)->dir, "store.db", F_OK, 0) == 0) /* else that is what is wrong */
        rc = fxs_view_log(*out, why);
    if (rc == FXS_STORE_OK)
        rc = fxs_view_database(*out, why);
    if (rc != FXS_STORE_OK) {
        fxs_store_close(*out);
        *out = NULL;
    }
    return rc;
}

enum fxs_store_rc fxs_store_view(struct fxs_store **out, const char *dir, char *why)
{
    fxs_stream_settle(dir);
    return fxs_store_look(out, dir, why);
}

int fxs_store_in_use(const char *dir, char *who)
{
    char path[PATH_MAX];
    int used = 0;
    who[0] = 0;
    snprintf(path, sizeof path, "%s/lock", dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return 0;
    if (flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        ssize_t n = pread(fd, who, FXS_WHO - 1, 0);
        who[n > 0 ? n : 0] = 0;
        who[strcspn(who, "\n")] = 0;
        used = 1;
    }
    close(fd);
    return used;
}
