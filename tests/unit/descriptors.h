/* SPDX-License-Identifier: Apache-2.0 */
/* The number of the process's open descriptors, to check that a test leaks none. */
#ifndef FX_TEST_DESCRIPTORS_H
#define FX_TEST_DESCRIPTORS_H

#include <dirent.h>

static int descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

#endif
