/* SPDX-License-Identifier: Apache-2.0 */
/* Memory and processors of the machine or container. */
#ifndef FXS_MACHINE_H
#define FXS_MACHINE_H

#include <stdint.h>

/* Returns the bytes of memory of the machine, or the limit of this process's control group if that
 * is lower. */
uint64_t fxs_memory_of_machine(void);

/* Returns the number of processors that this process may use, at least 1: those that it may run on,
 * or the limit of its control group, rounded up, if that is lower. */
int fxs_cores_of_machine(void);

/* Returns the lowest limit (bytes; processors, rounded up) of a process's control groups, of
 * version 1 or 2, and their parents; 0 if there is none.  `own`: its /proc/PID/cgroup; `root`:
 * where the groups are mounted. */
enum fxs_group_what { FXS_GROUP_MEMORY, FXS_GROUP_CORES };
uint64_t fxs_group_limit(const char *own, const char *root, enum fxs_group_what what);

#endif
