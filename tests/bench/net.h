/* SPDX-License-Identifier: MIT */
/* Sockets of the load generator.  Loopback only. */
#ifndef BENCH_NET_H
#define BENCH_NET_H

#include <stddef.h>
#include <stdint.h>

/* Raises the soft limit of descriptors to the hard one; returns it. */
unsigned net_raise_files(void);
/*
 * Begins a non-blocking connect to 127.0.0.1:port from 127.0.0.(1 + source);
 * TCP_NODELAY is set.  rcvbuf = bytes the kernel may keep for us unread, 0 =
 * as it likes.  The descriptor, or -1 with errno.
 */
int net_connect(unsigned port, unsigned source, unsigned rcvbuf);
/* 0, or the error with which a connect ended. */
int net_connect_error(int fd);
/* epoll_ctl; aborts on failure. */
void net_epoll(int ep, int op, int fd, uint32_t events, void *ptr);

#endif
