/* SPDX-License-Identifier: MIT */
/*
 * Many WebSocket connections on one epoll: connects, shakes hands, waits for
 * sync.complete, then hands every text frame to the mode.
 */
#ifndef BENCH_WS_POOL_H
#define BENCH_WS_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stats.h"

struct bench;
struct ws_pool;

enum ws_client_state {
	WS_NEW,
	WS_CONNECTING,
	WS_HANDSHAKE,
	WS_SYNCING,
	WS_OPEN,
	WS_CLOSED
};

struct ws_client {
	struct ws_pool *pool;
	const char *user;
	int fd;
	uint8_t state;
	uint8_t slot;   /* of its worker, as welcome names it */
	bool want_out;  /* EPOLLOUT is armed */
	bool stalled;   /* nothing is read */
	uint64_t began; /* when the connect was */
	char *in;       /* the beginning of an unfinished frame */
	uint32_t in_len;
	uint32_t out_len; /* unsent, in out */
	uint32_t out_cap;
	uint8_t *out;
	void *arg; /* the mode's */
};

typedef void ws_pool_text_cb(struct ws_client *c, const char *text, size_t len);
/* It may be opened again, but not from within the call. */
typedef void ws_pool_closed_cb(struct ws_client *c);

struct ws_pool {
	const struct bench *bench;
	struct ws_client *client;
	unsigned n;             /* clients */
	unsigned started, open; /* open = synced, at any time so far */
	unsigned busy;          /* between connect and sync.complete */
	unsigned closed;        /* by the server or broken */
	unsigned up;            /* synced now */
	unsigned sources;       /* addresses connected from */
	unsigned rcvbuf;        /* of each socket; 0 = the kernel's */
	int ep;
	ws_pool_text_cb *text; /* frames but welcome, sync.complete */
	/* Set: connections may end, and closed does not count them. */
	ws_pool_closed_cb *lost;
	void *arg;
	uint64_t now;           /* at the last read */
	uint64_t frames, bytes; /* received, with headers */
	uint64_t pongs;
	struct hist setup; /* connect to sync.complete */
	uint8_t *scratch;
};

/* n clients, not yet connected; the caller then sets each one's user. */
void ws_pool_init(struct ws_pool *p, const struct bench *b, unsigned n,
    ws_pool_text_cb *text, void *arg);
void ws_pool_free(struct ws_pool *p);
/*
 * Connects all, at most bench->pending at a time, and returns when all are
 * synced: 0, or -1 after a complaint when one failed or time ran out.
 */
int ws_pool_open(struct ws_pool *p, unsigned timeout_ms);
/* Connects a client that has none, or none any more. */
void ws_client_open(struct ws_client *c);
/* Stops or goes on reading. */
void ws_client_stall(struct ws_client *c, bool stalled);
/* One turn of the loop. */
void ws_pool_turn(struct ws_pool *p, int timeout_ms);

/* Room for len bytes at the end of what is to be sent. */
uint8_t *ws_client_reserve(struct ws_client *c, size_t len);
/* len of them were filled in. */
void ws_client_added(struct ws_client *c, size_t len);
/* Frames handed over while a client is being read leave by themselves at the
 * end of its turn; otherwise this is to be called. */
void ws_client_flush(struct ws_client *c);

#endif
