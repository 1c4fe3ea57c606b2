/* SPDX-License-Identifier: Apache-2.0 */
/* What the machine, or the container, has. */
#ifndef FXS_MACHINE_H
#define FXS_MACHINE_H

#include <stdint.h>

/* Memory of the machine, or of the control group that this process is in if that has less, in
 * bytes. */
uint64_t fxs_memory_of_machine(void);

/* Processors that this process may use, at least 1. */
int fxs_cores_of_machine(void);

#endif
