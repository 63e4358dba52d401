/* SPDX-License-Identifier: MIT */
/* What the files of the link share; for nobody else. */
#ifndef COMMON_LINK_INT_H
#define COMMON_LINK_INT_H

#include <event2/util.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "link.h"

#define LINK_READ_SIZE (128U * 1024)
#define LINK_FDS_MAX 8
/* An idle link keeps no more than this of what a burst made it allocate. */
#define LINK_KEEP_SIZE (256U * 1024)

struct event;

enum link_result { LINK_MORE, LINK_BLOCKED, LINK_END };

/* A descriptor that leaves with the first byte of its record. */
struct link_fd {
	uint64_t at; /* offset of the record in the stream */
	int fd;
};

struct link {
	struct event_base *base;
	struct event *rd;
	struct event *wr;   /* only while the socket is full */
	struct event *turn; /* end of this turn of the loop */
	const struct link_ops *ops;
	void *arg;
	int fd;
	int err_out;    /* a write failed with this */
	int err_in;     /* why LINK_END; 0 = end of file */
	unsigned depth; /* how many of our frames are on the stack */
	bool paused;
	bool backlog; /* `in` may hold whole records */
	bool pushed;
	bool full;     /* wr is armed */
	bool ended;    /* closed() was called */
	bool dead;     /* link_free() was called */
	struct buf in; /* read and not yet handed over */
	struct buf out;
	uint64_t sent; /* offset of out's first byte in the stream */
	size_t rest;   /* bytes of a partly written record in out */
	struct link_fd *fds_out;
	unsigned nfds_out;
	int fds_in[LINK_FDS_MAX];
	unsigned nfds_in;
};

/* Around everything that may call back: link_free() in between only marks. */
void link_enter(struct link *l);
void link_leave(struct link *l);
/* Tells the owner, once, that nothing more will come. */
void link_end(struct link *l, int err);
/* Forgets what is unsent. */
void link_clear_out(struct link *l);
/* Callbacks of the loop. */
void link_on_read(evutil_socket_t fd, short what, void *arg);
void link_on_write(evutil_socket_t fd, short what, void *arg);
void link_on_turn(evutil_socket_t fd, short what, void *arg);

#endif
