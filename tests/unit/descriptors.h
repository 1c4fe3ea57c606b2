/* SPDX-License-Identifier: Apache-2.0 */
/* How many descriptors the test's process has: none may be left over. */
#ifndef FX_TEST_DESCRIPTORS_H
#define FX_TEST_DESCRIPTORS_H

#include <dirent.h>

static int descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;
    while (readdir(d)) /* cppcheck-suppress readdirCalled ; one thread */
        n++;
    closedir(d);
    return n;
}

#endif
