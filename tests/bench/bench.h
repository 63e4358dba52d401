/* SPDX-License-Identifier: MIT */
/* Options of the load generator and its modes. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stdbool.h>
#include <stdint.h>

struct plan;

struct bench {
	/* the server; always on loopback */
	unsigned port;
	unsigned server; /* the master's process id; 0 = not measured */
	const char *key;
	const char *plan_file;
	struct plan *plan;
	/* how long */
	unsigned seconds_ms;
	unsigned warmup_ms;
	unsigned count; /* stop after so many; 0 = by time */
	/* how much */
	unsigned connections;
	unsigned inflight;
	unsigned size;        /* content, bytes */
	unsigned outstanding; /* fan-out: messages not yet everywhere */
	unsigned pause_us;    /* fan-out: between complete messages */
	unsigned pending;     /* handshakes at once */
	unsigned limit;       /* messages a page of history */
	unsigned history;     /* messages in the room that is read */
	unsigned client_ids;  /* send a client_msg_id */
	unsigned hold_ms;     /* idle: how long wake-ups are counted */
	unsigned repeats;     /* sync: connects; big: acks of each */
	unsigned rcvbuf;      /* slow: bytes the kernel keeps; 0 = default */
	unsigned spread_ms;   /* slow: over which they read again */
	/* kills */
	const char *kill;     /* worker, writer, master or group */
	const char *pid_file; /* the master's after a restart */
	unsigned slot;        /* storm: which worker */
	unsigned kills;
	unsigned pause_ms; /* recover: between them */
	unsigned workers;
	/* raw ceilings */
	unsigned members;
	unsigned frame; /* bytes */
	unsigned per_write;
	unsigned batch;
	unsigned rooms;
	unsigned member_check; /* a SELECT a message; the writer caches */
	const char *dir;
	const char *schema;
	const char *database;
};

/* Each prints its result line; 0, or 1 after a complaint on stderr. */
int mode_ws_send(const struct bench *b);
int mode_fanout(const struct bench *b);
int mode_rest_send(const struct bench *b);
int mode_rest_read(const struct bench *b);
int mode_idle(const struct bench *b);
int mode_sync(const struct bench *b);
int mode_storm(const struct bench *b);
int mode_slow(const struct bench *b);
int mode_big(const struct bench *b);
int mode_recover(const struct bench *b);
int mode_raw_append(const struct bench *b);
int mode_raw_fanout(const struct bench *b);
int mode_raw_sync(const struct bench *b);

#endif
