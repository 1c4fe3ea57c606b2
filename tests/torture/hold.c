/* SPDX-License-Identifier: Apache-2.0 */
/* hold PID SECONDS: stops the first process that PID forks within the time, and prints its number.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { TASKS = 256 };

int main(int argc, char **argv)
{
    char path[512], text[64];
    int fd[TASKS], n = 0;
    if (argc != 3)
        return 2;
    snprintf(path, sizeof path, "/proc/%s/task", argv[1]);
    DIR *tasks = opendir(path);
    for (struct dirent *e; tasks && n < TASKS && (e = readdir(tasks));) {
        snprintf(path, sizeof path, "/proc/%s/task/%s/children", argv[1], e->d_name);
        if (e->d_name[0] != '.' && (fd[n] = open(path, O_RDONLY)) >= 0)
            n++;
    }
    for (time_t end = time(NULL) + atoi(argv[2]); time(NULL) < end;) {
        for (int i = 0; i < n; i++) {
            ssize_t length = pread(fd[i], text, sizeof text - 1, 0);
            text[length > 0 ? length : 0] = '\0';
            int pid = atoi(text);
            if (pid > 0 && kill(pid, SIGSTOP) == 0) {
                printf("%d\n", pid);
                return 0;
            }
        }
    }
    return 1;
}
