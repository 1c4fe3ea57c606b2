/* SPDX-License-Identifier: Apache-2.0 */
/* Counters of an engine, and the operations that concern the engine and its sessions, not
 * objects. */
#ifndef FXE_STATS_H
#define FXE_STATS_H

struct fxe_req;
struct fxe_operation;

void fxe_stats_count(const struct fxe_req *r); /* counts a finished request */

void fxe_stats_batch(int n); /* counts a batch of n searches */

void fxe_stats_helped(void); /* counts a query that another worker than its call's searched for */

extern const struct fxe_operation fxe_stats_operation, fxe_hello_operation, fxe_attach_operation,
    fxe_bye_operation, fxe_ping_operation, fxe_health_operation;

#endif
