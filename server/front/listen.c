/* SPDX-License-Identifier: Apache-2.0 */
/* The endpoints that the front listens on. */
#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "front_state.h"
#include "log.h"

static int refuse(const char *endpoint, const char *why)
{
    char text[256];
    strncpy(text, why, sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    text[0] = (char)tolower((unsigned char)text[0]);
    fxs_log(FXS_ERROR, "front", "cannot listen on %s: %s", endpoint, text);
    return -1;
}

/* The path of an ipc endpoint that has one. */
static const char *socket_path(const char *endpoint)
{
    return strncmp(endpoint, "ipc://", 6) == 0 && endpoint[6] != '@' && endpoint[6] != '*'
               ? endpoint + 6
               : NULL;
}

/* libzmq deletes whatever is at the path before it binds: a live server's socket, or a
 * file that somebody named by mistake.  Look first. */
static int check_path(const char *endpoint, const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    struct stat st;
    if (strlen(path) >= sizeof(addr.sun_path))
        return refuse(endpoint, "the path is too long for a socket");
    strcpy(addr.sun_path, path);
    if (lstat(path, &st) != 0)
        return errno == ENOENT ? 0 : refuse(endpoint, strerror(errno));
    if (!S_ISSOCK(st.st_mode))
        return refuse(endpoint, "there is a file of that name");
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return refuse(endpoint, strerror(errno));
    int rc = connect(fd, (struct sockaddr *)&addr, sizeof(addr));
    int error = errno;
    close(fd);
    if (rc == 0 || error == EAGAIN) /* EAGAIN: somebody listens and is busy */
        return refuse(endpoint, strerror(EADDRINUSE));
    if (error != ECONNREFUSED)
        return refuse(endpoint, strerror(error));
    return 0;
}

static bool is_local(const char *endpoint)
{
    static const char *const local[] = {"ipc://", "tcp://127.",
                                        "tcp://[::1]:", "tcp://[::ffff:127."};
    for (size_t i = 0; i < sizeof(local) / sizeof(*local); i++)
        if (strncmp(endpoint, local[i], strlen(local[i])) == 0)
            return true;
    return false;
}

static int listen_on(void *router, const char *endpoint)
{
    char actual[512];
    size_t len = sizeof(actual);
    const char *path = socket_path(endpoint);
    if (path && check_path(endpoint, path) != 0)
        return -1;
    /* With IPv6 on, libzmq takes an IPv4 address as an IPv4-mapped one, which fails
     * where the kernel has no IPv6: only where it is wanted. */
    int v6 = strncmp(endpoint, "tcp://", 6) == 0 && !isdigit((unsigned char)endpoint[6]);
    zmq_setsockopt(router, ZMQ_IPV6, &v6, sizeof(v6));
    if (zmq_bind(router, endpoint) != 0)
        return refuse(endpoint,
                      errno == ENODEV
                          ? "not an address or interface of this machine (names are not looked up)"
                          : zmq_strerror(errno));
    if (zmq_getsockopt(router, ZMQ_LAST_ENDPOINT, actual, &len) != 0)
        strcpy(actual, "?");
    fxs_log(FXS_INFO, "front", "listening endpoint=%s", actual);
    return 0;
}

int fxs_listen(struct fxs_front *f)
{
    const struct fxs_options *o = f->options;
    for (; f->bound < o->nbinds; f->bound++) {
        const char *endpoint = o->binds[f->bound];
        if (listen_on(f->router, endpoint) != 0)
            return -1;
        if (!o->auth && !is_local(endpoint))
            fxs_log(FXS_WARN, "front",
                    "no API keys: whoever reaches %s can use the server; see --auth-file",
                    endpoint);
    }
    return 0;
}

void fxs_listen_cleanup(struct fxs_front *f)
{
    while (f->bound > 0) {
        const char *path = socket_path(f->options->binds[--f->bound]);
        if (path)
            unlink(path);
    }
}
