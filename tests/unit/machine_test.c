/* SPDX-License-Identifier: Apache-2.0 */
/* The limits of a container. */
#include "server/machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static char root[] = "/tmp/faissx-groups-XXXXXX";
static char own[64];

static void put(const char *name, const char *text)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *slash = path + sizeof root; (slash = strchr(slash, '/')); *slash++ = '/') {
        *slash = '\0';
        mkdir(path, 0700);
    }
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int set_up(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(root));
    snprintf(own, sizeof own, "%s/own", root);
    return 0;
}

static int tear_down(void **state)
{
    char command[100];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", root);
    return system(command);
}

#define CORES fxs_group_limit(own, root, FXS_GROUP_CORES)
#define MEMORY fxs_group_limit(own, root, FXS_GROUP_MEMORY)

static void test_version_2(void **state)
{
    (void)state;
    put("own", "0::/a/b\n");
    assert_int_equal(CORES, 0);
    put("a/b/cpu.max", "max 100000\n");
    put("a/b/memory.max", "max\n");
    assert_int_equal(CORES, 0);
    assert_int_equal(MEMORY, 0);
    put("a/cpu.max", "250000 100000\n"); /* two and a half */
    put("a/memory.max", "1048576\n");
    assert_int_equal(CORES, 3);
    assert_int_equal(MEMORY, 1048576);
    put("a/b/cpu.max", "50000 100000\n"); /* the lower one counts */
    assert_int_equal(CORES, 1);
    put("cpu.max", "900000 100000\n");
    put("own", "0::/not/seen/here\n"); /* of another namespace: the root is what limits it */
    assert_int_equal(CORES, 9);
}

static void test_version_1(void **state)
{
    (void)state;
    put("own", "4:memory:/x\n3:cpuset:/x\n2:cpu,cpuacct:/x/y\n1:name=systemd:/\n");
    put("cpu/cpu.cfs_quota_us", "-1\n");
    put("cpu/cpu.cfs_period_us", "100000\n");
    assert_int_equal(CORES, 0);
    put("cpu/x/y/cpu.cfs_quota_us", "400000\n");
    put("cpu/x/y/cpu.cfs_period_us", "100000\n");
    put("memory/x/memory.limit_in_bytes", "4096\n");
    assert_int_equal(CORES, 4);
    assert_int_equal(MEMORY, 4096);
    put("own", "3:cpuset,cpuacct:/x/y\n");
    assert_int_equal(CORES, 0);
}

static void test_machine(void **state)
{
    (void)state;
    assert_true(fxs_cores_of_machine() >= 1);
    assert_true(fxs_memory_of_machine() >= 1 << 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_version_2),
        cmocka_unit_test(test_version_1),
        cmocka_unit_test(test_machine),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
