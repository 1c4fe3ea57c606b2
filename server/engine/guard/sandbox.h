/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An index file can name another file, which FAISS then opens or creates (inverted lists
 * on disk).  On the server that is a file of the server's, so the engine gives up the file
 * system: what remains is reading the folders that libraries came from, for those which
 * load more of themselves later, and /dev/null.
 *
 * Uses Landlock; on a kernel without it the engine runs as before, and says so.
 */
#ifndef FXE_SANDBOX_H
#define FXE_SANDBOX_H

/* For this thread and all that it starts from now on: after the library was loaded, before
 * there are other threads.  `devices`: the library uses a GPU, whose driver opens devices
 * whenever it likes. */
void fxe_sandbox(int devices);

/* The same for system calls: an engine opens no socket, connects to nothing and starts no
 * program.  Uses seccomp. */
void fxe_sandbox_syscalls(int devices);

#endif
