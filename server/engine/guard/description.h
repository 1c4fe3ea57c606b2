/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a factory is asked for.  FAISS reads descriptions with regular expressions, which
 * recurse for every character, and a level at a time; and it takes numbers as they are.
 */
#ifndef FXE_DESCRIPTION_H
#define FXE_DESCRIPTION_H

struct fxe_req;

/* faiss_index_factory, faiss_index_binary_factory: -1 and the reply set if the call must not be
 * made. */
int fxe_check_description(struct fxe_req *r);

/* Has it a 0 where FAISS divides by it, or a graph with less than two edges for each vector?
 * What is made of it is tried in a child before every call. */
int fxe_is_odd_description(const char *description);

#endif
