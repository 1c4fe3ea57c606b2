/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks of factory descriptions.  FAISS parses them with regular expressions, which recurse for
 * every character, recurses itself for every level of nesting, and does not check numbers.
 */
#ifndef FXE_DESCRIPTION_H
#define FXE_DESCRIPTION_H

struct fxe_req;

/* For faiss_index_factory and faiss_index_binary_factory.  Returns 0, or -1 with the reply set if
 * the call must not be made. */
int fxe_check_description(struct fxe_req *r);

/* Returns whether the description has a 0 that FAISS would divide by, a negative number, or a graph
 * with fewer than two edges for each vector.  Every call on an index made from it is tried in a
 * child first. */
int fxe_is_odd_description(const char *description);

#endif
