/* SPDX-License-Identifier: Apache-2.0 */
/* faissx export, faissx import: a published index as a file of FAISS's. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/bar.h"
#include "proto/target.h"
#include "session.h"

static int refused(const char *what, const char *name, const struct cli_session *c)
{
    fx_bar_end();
    fprintf(stderr, "faissx %s: %s: %s\n", what, name, cli_error(c));
    return CLI_FAILED;
}

static int failed(const char *what, const char *file)
{
    int e = errno;
    fx_bar_end();
    fprintf(stderr, "faissx %s: %s: %s\n", what, file, strerror(e));
    return CLI_FAILED;
}

/* The handle in `out`: [[id, d, metric]]. */
static uint64_t handle_of(const struct cli_session *c)
{
    const msgpack_object *out = fx_header_get(cli_reply(c), "out");
    if (!out || out->type != MSGPACK_OBJECT_ARRAY || !out->via.array.size)
        return 0;
    out = out->via.array.ptr;
    if (out->type == MSGPACK_OBJECT_ARRAY && out->via.array.size)
        out = out->via.array.ptr;
    return out->type == MSGPACK_OBJECT_POSITIVE_INTEGER ? out->via.u64 : 0;
}

/* --- export --- */

static int write_all(int fd, const char *data, size_t size)
{
    while (size) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        data += n;
        size -= (size_t)n;
        fx_bar_add((uint64_t)n);
    }
    return 0;
}

static uint64_t open_index(struct cli_session *c, const char *name)
{
    static const char *const classes[] = {"Index", "IndexBinary"};
    for (int i = 0; i < 2; i++) {
        msgpack_packer pk = cli_begin(c, "open", 2);
        fx_pack_str(&pk, "name");
        fx_pack_str(&pk, name);
        fx_pack_str(&pk, "class");
        fx_pack_str(&pk, classes[i]);
        int rc = cli_call(c, NULL, 0);
        if (rc == 0)
            return handle_of(c);
        if (rc < 0 || !strstr(cli_error(c), "another class"))
            return 0;
    }
    return 0;
}

/* The reply to save has the bytes; or they are on the server, as `big`: [["download", id, size]].
 */
static int fetch(struct cli_session *c, const char *file, int fd)
{
    size_t n;
    const void *data;
    const msgpack_object *big = fx_header_get(cli_reply(c), "big");
    const msgpack_object *where =
        big && big->type == MSGPACK_OBJECT_ARRAY && big->via.array.size ? big->via.array.ptr : NULL;
    if (!where || where->type != MSGPACK_OBJECT_ARRAY || where->via.array.size != 3) {
        data = cli_payload(c, &n);
        fx_bar_begin("exporting", n);
        return write_all(fd, data, n) == 0 ? CLI_OK : failed("export", file);
    }
    uint64_t id = where->via.array.ptr[1].via.u64, size = where->via.array.ptr[2].via.u64;
    fx_bar_begin("exporting", size);
    for (uint64_t at = 0; at < size;) {
        uint64_t piece = size - at < FX_FRAME_MAX ? size - at : FX_FRAME_MAX;
        msgpack_packer pk = cli_begin(c, "download", 3);
        fx_pack_str(&pk, "id");
        msgpack_pack_uint64(&pk, id);
        fx_pack_str(&pk, "offset");
        msgpack_pack_uint64(&pk, at);
        fx_pack_str(&pk, "size");
        msgpack_pack_uint64(&pk, piece);
        if (cli_call(c, NULL, 0) != 0)
            return refused("export", file, c);
        data = cli_payload(c, &n);
        if (n != piece) {
            errno = EPROTO;
            return failed("export", file);
        }
        if (write_all(fd, data, n) != 0)
            return failed("export", file);
        at += n;
    }
    return CLI_OK;
}

static int save(struct cli_session *c, const char *name, const char *file)
{
    char tmp[PATH_MAX];
    uint64_t handle = open_index(c, name);
    if (!handle)
        return refused("export", name, c);
    msgpack_packer pk = cli_begin(c, "save", 1);
    fx_pack_str(&pk, "handle");
    msgpack_pack_uint64(&pk, handle);
    if (cli_call(c, NULL, 0) != 0)
        return refused("export", name, c);
    if (snprintf(tmp, sizeof tmp, "%s.tmp-%ld", file, (long)getpid()) >= (int)sizeof tmp) {
        errno = ENAMETOOLONG;
        return failed("export", file);
    }
    int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return failed("export", tmp);
    int status = fetch(c, file, fd);
    if (status == CLI_OK && (fsync(fd) != 0 || rename(tmp, file) != 0))
        status = failed("export", file);
    close(fd);
    if (status != CLI_OK)
        unlink(tmp);
    fx_bar_end();
    return status;
}

static int run_export(const struct cli_server *s, char **operands)
{
    char why[PATH_MAX + 100], *file = fx_target(operands[1], why, sizeof why);
    if (!file) {
        fprintf(stderr, "faissx export: %s\n", why);
        return CLI_FAILED;
    }
    struct cli_session *c = cli_session_open(s);
    int status = c ? save(c, operands[0], file) : CLI_FAILED;
    cli_session_close(c);
    free(file);
    return status;
}

const struct cli_command cli_export = {
    "export",
    "NAME FILE",
    2,
    2,
    "write a published index to a FAISS file",
    "Writes the published index NAME to FILE, as faiss_write_index would.  FILE gets its name\n"
    "when it is complete and on disk.  If it exists, it must be a regular file.\n\n"
    "  faissx export pictures pictures.faiss\n",
    run_export};

/* --- import --- */

static int upload(struct cli_session *c, const char *file, const char *data, uint64_t size)
{
    for (uint64_t at = 0; at < size; at += FX_PIECE) {
        uint64_t piece = size - at < FX_PIECE ? size - at : FX_PIECE;
        msgpack_packer pk = cli_begin(c, "upload", 3);
        fx_pack_str(&pk, "id");
        msgpack_pack_uint64(&pk, 1);
        fx_pack_str(&pk, "size");
        msgpack_pack_uint64(&pk, size);
        fx_pack_str(&pk, "offset");
        msgpack_pack_uint64(&pk, at);
        if (cli_call(c, data + at, piece) != 0)
            return refused("import", file, c);
        fx_bar_add(piece);
    }
    return CLI_OK;
}

/* Only when FAISS has read all of it does the name change. */
static int load(struct cli_session *c, const char *file, const char *data, uint64_t size,
                const char *name)
{
    /* Types of FAISS's binary indexes begin so. */
    const char *cls = size >= 2 && memcmp(data, "IB", 2) == 0 ? "IndexBinary" : "Index";
    fx_bar_begin("importing", size);
    if (upload(c, file, data, size) != CLI_OK)
        return CLI_FAILED;
    msgpack_packer pk = cli_begin(c, "load", 2);
    fx_pack_str(&pk, "class");
    fx_pack_str(&pk, cls);
    fx_pack_str(&pk, "data");
    msgpack_pack_array(&pk, 2);
    fx_pack_str(&pk, "upload");
    msgpack_pack_uint64(&pk, 1);
    if (cli_call(c, NULL, 0) != 0)
        return refused("import", file, c);
    uint64_t handle = handle_of(c);
    pk = cli_begin(c, "publish", 2);
    fx_pack_str(&pk, "handle");
    msgpack_pack_uint64(&pk, handle);
    fx_pack_str(&pk, "name");
    fx_pack_str(&pk, name);
    if (cli_call(c, NULL, 0) != 0)
        return refused("import", name, c);
    fx_bar_end();
    return CLI_OK;
}

static int run_import(const struct cli_server *s, char **operands)
{
    const char *file = operands[0], *name = operands[1];
    struct stat st;
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0)
        return failed("import", file);
    if (!S_ISREG(st.st_mode) || !st.st_size) {
        fprintf(stderr, "faissx import: %s is not a file with an index\n", file);
        close(fd);
        return CLI_FAILED;
    }
    char *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (data == MAP_FAILED)
        return failed("import", file);
    struct cli_session *c = cli_session_open(s);
    int status = c ? load(c, file, data, (uint64_t)st.st_size, name) : CLI_FAILED;
    cli_session_close(c);
    munmap(data, (size_t)st.st_size);
    return status;
}

const struct cli_command cli_import = {
    "import",
    "FILE NAME",
    2,
    2,
    "publish the index of a FAISS file",
    "Publishes the index in FILE, which FAISS has written, as NAME.  If NAME is published\n"
    "already, it stands for the new index from then on; if FAISS cannot read FILE, nothing\n"
    "changes.\n\n"
    "  faissx import pictures.faiss pictures\n",
    run_import};
