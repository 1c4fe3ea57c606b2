/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An index file can name another file, which FAISS then opens or creates (inverted lists on disk).
 * On the server that would be one of the server's files, so the engine gives up the file system.
 * It keeps /dev/null, and read access to the folders of its libraries, because some libraries load
 * more files later.
 *
 * This needs Landlock.  On a kernel without it the engine keeps its access to files, and logs that.
 */
#ifndef FXE_SANDBOX_H
#define FXE_SANDBOX_H

/* Restricts the calling thread and all threads that it starts later.  Call after the library is
 * loaded and before other threads start.  `devices`: the library uses a GPU, whose driver may open
 * devices at any time.  `dir`: the directory of the tenant's store, which stays open to it, or "".
 */
void fxe_sandbox(int devices, const char *dir);

/* The same for system calls, by seccomp: the engine can open no socket, connect to nothing and
 * start no program.  With `devices` this does nothing, because a GPU's driver needs these calls. */
void fxe_sandbox_syscalls(int devices);

#endif
