/* SPDX-License-Identifier: Apache-2.0 */
/* The proxy that odd clients come through (tests/e2e/proxy.c), and what goes wrong there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "driver.h"

static int talk(const struct driver *d, const char *command)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    char answer[256];
    snprintf(a.sun_path, sizeof a.sun_path, "%s/control", d->dir);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) != 0) {
        close(fd);
        return -1;
    }
    size_t n = strlen(command);
    int rc = write(fd, command, n) == (ssize_t)n && read(fd, answer, sizeof answer) > 0 ? 0 : -1;
    close(fd);
    return rc;
}

void network_start(struct driver *d)
{
    char program[TEXT_MAX], socket_path[TEXT_MAX], control[TEXT_MAX], port[16];
    snprintf(program, sizeof program, "%s/tests/e2e/proxy", d->build);
    snprintf(socket_path, sizeof socket_path, "%s/sock", d->dir);
    snprintf(control, sizeof control, "%s/control", d->dir);
    int number = free_port();
    snprintf(port, sizeof port, "%d", number);
    snprintf(d->network, sizeof d->network, "tcp://127.0.0.1:%d", number);
    char *argv[] = {program, port, socket_path, control, NULL};
    start(d, "proxy.log", argv, NULL);
    for (int i = 0; i < 200; i++) {
        if (talk(d, "go\n") == 0)
            return;
        sleep_ms(50);
    }
    printf("the proxy does not start: see %s/proxy.log\n", d->dir);
    exit(1);
}

void network_trouble(struct driver *d)
{
    char command[64];
    int rc;
    switch (driver_random(d, 7)) {
    case 0:
        rc = talk(d, "cut\n");
        break;
    case 1:
        rc = talk(d, "half\n");
        break;
    case 2: /* within a message */
        snprintf(command, sizeof command, "up %u\n", driver_random(d, 20000));
        rc = talk(d, command);
        break;
    case 3:
        snprintf(command, sizeof command, "down %u\n", driver_random(d, 2000));
        rc = talk(d, command);
        break;
    case 4:
        rc = talk(d, "drop 2\n");
        break;
    case 5:
        rc = talk(d, "twice 1\n");
        break;
    default:
        rc = talk(d, "hold\n");
        sleep_ms((int)driver_random(d, 1000));
        rc |= talk(d, driver_random(d, 2) ? "cut\n" : "go\n");
        rc |= talk(d, "go\n");
    }
    if (rc != 0)
        model_report(&d->model, "the proxy does not answer");
    d->did.network++;
}
