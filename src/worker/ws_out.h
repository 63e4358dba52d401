/* SPDX-License-Identifier: MIT */
/*
 * What waits to be written to one WebSocket: a queue of shared frames.  A
 * frame for a thousand members exists once; each connection holds a
 * reference until the socket took it.  Knows no JSON and no rooms.
 */
#ifndef WORKER_WS_OUT_H
#define WORKER_WS_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ws_frame.h"

/* An encoded frame (header and payload), counted by its holders. */
struct ws_shared {
	uint32_t refs;
	uint32_t len;
	bool message; /* counted when it is not delivered; see page.h */
	uint8_t data[];
};

/* New frame with one reference, the caller's.  The payload is copied. */
struct ws_shared *ws_shared_new(enum ws_opcode opcode, const void *payload,
    size_t len);
/* Bytes as they are, without a frame header (the 101 answer). */
struct ws_shared *ws_shared_raw(const void *bytes, size_t len);
void ws_shared_unref(struct ws_shared *f);

struct ws_out {
	struct ws_shared **ring;
	uint32_t head; /* index of the oldest */
	uint32_t count;
	uint32_t cap;    /* power of two, 0 = nothing allocated */
	uint32_t offset; /* bytes of the oldest already written */
	uint32_t bytes;  /* unsent, all frames together */
};

/*
 * How the bytes come and leave: a plain socket, or TLS.  writev_fn takes at
 * most count pieces and returns what write(2) would, with errno; EAGAIN =
 * try when writable.  A backend that keeps bytes of its own has flush_fn and
 * waits_fn; for others they are NULL.
 */
struct iovec;
struct ws_backend {
	long (*read_fn)(int fd, void *ctx, void *p, size_t len);
	long (*writev_fn)(int fd, void *ctx, const struct iovec *v, int count);
	/* Writes what it has taken and still holds, adds to *wrote.  0 = all
	 * gone, 1 = the rest waits for the socket, -1 = broken. */
	int (*flush_fn)(int fd, void *ctx, size_t *wrote);
	/* WS_WAITS_…: what the socket's readiness would not tell of. */
	unsigned (*waits_fn)(void *ctx);
	/* Nothing more will be written. */
	void (*finish_fn)(int fd, void *ctx);
	void (*close_fn)(int fd, void *ctx);
};
#define WS_WAITS_IN 1  /* bytes that read_fn has at hand */
#define WS_WAITS_OUT 2 /* bytes that flush_fn would write */
extern const struct ws_backend ws_backend_plain;

/* An open socket with its backend. */
struct ws_socket {
	int fd;
	const struct ws_backend *backend;
	void *ctx;
};

/* Adds a reference of its own to the end of the queue. */
void ws_out_add(struct ws_out *o, struct ws_shared *f);
/*
 * Writes as much as the socket takes.  0 = all gone, 1 = the rest waits for
 * the socket, -1 = the connection is broken (errno).  *wrote = bytes taken.
 */
int ws_out_flush(struct ws_out *o, const struct ws_backend *backend, int fd,
    void *ctx, size_t *wrote);
/* How many of the frames that wait are messages. */
uint32_t ws_out_messages(const struct ws_out *o);
/* Drops everything. */
void ws_out_free(struct ws_out *o);
/* Drops what is queued but keeps a frame already partly written. */
void ws_out_drop(struct ws_out *o);

#endif
