/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded into a server, sets its clock forward by $DAYS. */
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

int clock_gettime(clockid_t clock, struct timespec *t)
{
    __typeof__(&clock_gettime) real = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
    const char *days = getenv("DAYS");
    int rc = real(clock, t);
    if (rc == 0 && clock == CLOCK_REALTIME && days)
        t->tv_sec += atol(days) * 24 * 3600;
    return rc;
}
