/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many processes that read the same index file and keep it.  A worker (see bench.h).
 *
 *     readers FILE N [PID]      a turn: N processes, one after the other, read FILE; then they end.
 *                               PID is the front of the server that they use
 *     readers FILE              one of them
 *
 * A process that reads measures faiss_read_index_fname alone, after a call that has loaded FAISS or
 * connected.
 */
#include <fcntl.h>
#include <sys/wait.h>

#include "faiss_c_compat.h"
#include "usage.h"

struct reader {
    pid_t pid;
    int to, from; /* pipes */
};

/* Reads the file, says how long that took, and ends with its input. */
static void read_file(const char *path)
{
    FaissIndex *index = NULL;
    float x[1] = {0};
    char end;
    if (faiss_index_factory(&index, 1, "Flat", METRIC_L2) != 0 || faiss_Index_add(index, 1, x) != 0)
        die("%s", faiss_get_last_error());
    faiss_Index_free(index);
    int64_t start = now_ns();
    if (faiss_read_index_fname(path, 0, &index) != 0)
        die("%s: %s", path, faiss_get_last_error());
    int64_t took = now_ns() - start;
    die_if(write(STDOUT_FILENO, &took, sizeof took) != sizeof took, "write");
    while (read(STDIN_FILENO, &end, 1) > 0)
        ;
    faiss_Index_free(index);
}

static struct reader start(const char *program, const char *path)
{
    int in[2], out[2];
    die_if(pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0, "pipe");
    pid_t pid = fork();
    die_if(pid < 0, "fork");
    if (pid == 0) {
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        execl(program, program, path, (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    return (struct reader){pid, in[1], out[0]};
}

int main(int argc, char **argv)
{
    if (argc == 2) {
        read_file(argv[1]);
        return 0;
    }
    if (argc < 3)
        die("readers FILE [N [PID]]");
    int n = atoi(argv[2]);
    struct reader *r = need((size_t)n * sizeof *r);
    server_pid = argc > 3 ? atoi(argv[3]) : 0;
    while (turn()) {
        int64_t first = 0, took = 0;
        double before = 0, after = 0;
        for (int i = 0; i < n; i++) {
            r[i] = start(argv[0], argv[1]);
            die_if(read(r[i].from, &took, sizeof took) != sizeof took, "a reader has failed");
            first = i == 0 ? took : first;
        }
        if (server_pid)
            after = memory(server_pid) + of_children(server_pid, memory);
        for (int i = 0; i < n; i++) {
            close(r[i].to);
            close(r[i].from);
            waitpid(r[i].pid, NULL, 0);
        }
        report("first", (double)first / 1e3);
        report("last", (double)took / 1e3);
        for (int i = 0; server_pid && i < 100; i++) { /* until what they had is freed */
            before = memory(server_pid) + of_children(server_pid, memory);
            if (before < after / 2)
                break;
            usleep(50000);
        }
        if (server_pid)
            report("memory", after - before);
    }
    free(r);
    return 0;
}
