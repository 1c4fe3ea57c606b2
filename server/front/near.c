/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Unix socket for clients on this host that have connected over TCP.  They are told of it,
 * because it has lower latency and can pass memfds.  Its name cannot be guessed, and only this user
 * can replace it, so a client that only seems to be on this host, behind a tunnel, finds no socket
 * of that name on its own host.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "server/front/state.h"

#define PREFIX "faissx-"
#define FOLDER PREFIX "XXXXXX"

enum { YOUNG_S = 60 }; /* a server may be about to listen in a younger folder */

/* Finds the one file in the folder.  Returns false if there is none, or more than one. */
static bool only_file(const char *folder, struct sockaddr_un *addr)
{
    struct dirent *e;
    int n = 0;
    DIR *d = opendir(folder);
    while (d && (e = readdir(d)))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && n++ == 0 &&
            snprintf(addr->sun_path, sizeof addr->sun_path, "%s/%s", folder, e->d_name) >=
                (int)sizeof addr->sun_path)
            n++;
    if (d)
        closedir(d);
    return n == 1;
}

/* A folder of somebody else may have such a name: one of a server has a socket and nothing else.
 * It is removed unless a server listens there. */
static void remove_if_left(const char *folder)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    struct stat st;
    if (only_file(folder, &addr) && lstat(addr.sun_path, &st) == 0 && S_ISSOCK(st.st_mode) &&
        fxs_connect_error(&addr) == ECONNREFUSED && unlink(addr.sun_path) == 0)
        rmdir(folder);
}

/* A server that is killed leaves its folder behind. */
static void remove_left(const char *where)
{
    char path[PATH_MAX];
    struct dirent *e;
    struct stat st;
    DIR *d = opendir(where);
    while (d && (e = readdir(d))) {
        if (strlen(e->d_name) != strlen(FOLDER) || strncmp(e->d_name, PREFIX, strlen(PREFIX)) != 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", where, e->d_name);
        if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
            (st.st_mode & 07777) == FXS_NEAR_MODE && time(NULL) - st.st_mtime > YOUNG_S)
            remove_if_left(path);
    }
    if (d)
        closedir(d);
}

static int make_folder(struct fxs_front *f, const char *where)
{
    int n = snprintf(f->near_dir, sizeof f->near_dir, "%s/" FOLDER, where);
    if (n < (int)sizeof f->near_dir - 40 && mkdtemp(f->near_dir))
        return 0;
    f->near_dir[0] = '\0';
    return -1;
}

int fxs_near_name(struct fxs_front *f)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    const char *where[] = {runtime && *runtime == '/' ? runtime : "/run", "/run", "/tmp"};
    uint64_t r[2];
    if (getrandom(r, sizeof r, 0) != (ssize_t)sizeof r)
        return -1;
    for (size_t i = 0; i < sizeof where / sizeof *where && !f->near_dir[0]; i++)
        if (make_folder(f, where[i]) == 0)
            remove_left(where[i]);
    if (!f->near_dir[0] || chmod(f->near_dir, FXS_NEAR_MODE) != 0)
        return -1;
    snprintf(f->near, sizeof f->near, "ipc://%.99s/%08llx", f->near_dir,
             (unsigned long long)(r[0] ^ r[1]));
    return 0;
}
