/* SPDX-License-Identifier: MIT */
/*
 * Named Unix-domain stream sockets whose path may be longer than the 108
 * bytes that fit into sun_path.  All descriptors are close-on-exec.
 */
#ifndef COMMON_UNIX_SOCK_H
#define COMMON_UNIX_SOCK_H

/*
 * Binds and listens with mode 0600; what stood there is removed first, so
 * the caller must know that nobody serves it.  The descriptor is
 * non-blocking.  -1 with errno.
 */
int unix_listen(const char *path);
/* Connects, blocking; -1 with errno (ENOENT, ECONNREFUSED: nobody serves). */
int unix_connect(const char *path);

#endif
