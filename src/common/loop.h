/* SPDX-License-Identifier: MIT */
/*
 * The event loop every process runs, set up the same way: epoll, one thread,
 * libevent's own messages in our log, SIGPIPE ignored.
 */
#ifndef COMMON_LOOP_H
#define COMMON_LOOP_H

struct event_base;

/* Returns new, never NULL (it aborts); freed with event_base_free(). */
struct event_base *loop_new(void);

#endif
