/* SPDX-License-Identifier: MIT */
/* The listening Unix-domain sockets of listen.c. */
#ifndef MASTER_LISTEN_UNIX_H
#define MASTER_LISTEN_UNIX_H

#include <sys/types.h>

/*
 * Makes sure that nobody serves at the path; removes the file that a server
 * which was killed left there.  -1 with errno: EADDRINUSE when somebody
 * serves, EEXIST when it is another kind of file.
 */
int listen_unix_probe(const char *path) __attribute__((warn_unused_result));
/* Binds a new socket there, its file born with that mode; -1 with errno. */
int listen_unix_bind(const char *path, mode_t mode)
    __attribute__((warn_unused_result));

#endif
