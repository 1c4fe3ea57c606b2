/* SPDX-License-Identifier: Apache-2.0 */
/* Memory and processors of the machine or container. */
#ifndef FXS_MACHINE_H
#define FXS_MACHINE_H

#include <stdint.h>

/* Returns the bytes of memory of the machine, or the limit of this process's control group if that
 * is lower. */
uint64_t fxs_memory_of_machine(void);

/* Returns the number of processors that this process may use, at least 1. */
int fxs_cores_of_machine(void);

#endif
