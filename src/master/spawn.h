/* SPDX-License-Identifier: MIT */
/* Starts a program with exactly the descriptors it is meant to have. */
#ifndef MASTER_SPAWN_H
#define MASTER_SPAWN_H

#include <sys/types.h>

/*
 * The environment for children: ours without what only the master may know
 * or use.  Returns a new array of borrowed strings; free() it.
 */
char **spawn_environment(void);

/*
 * Forks and executes `exe` (absolute path).  fds[i] becomes descriptor
 * 3 + i; all others above 2 are closed.  The child ignores the signals by
 * which the server is told to stop: the master tells it.  -1 with errno.
 */
pid_t spawn(const char *exe, char *const argv[], char *const env[],
    const int *fds, unsigned nfds);

#endif
