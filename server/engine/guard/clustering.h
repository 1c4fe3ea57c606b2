/* SPDX-License-Identifier: Apache-2.0 */
/* Guards k-means outside of an index's train (guard.h).  Any thread, as there. */
#ifndef FXE_CLUSTERING_H
#define FXE_CLUSTERING_H

struct fxe_req;

/* Call when all arguments are in place.  Returns 0, also for other functions, or -1 with the
 * reply set if the call must not be made. */
int fxe_guard_clustering(struct fxe_req *r);

#endif
