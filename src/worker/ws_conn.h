/* SPDX-License-Identifier: MIT */
/*
 * One WebSocket connection: its socket, what came in half, what waits to go
 * out, and its place in the worker.  Frames are understood in ws_commands.c,
 * rooms are fed in feed.c.
 */
#ifndef WORKER_WS_CONN_H
#define WORKER_WS_CONN_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "../common/buf.h"
#include "auth.h"
#include "rooms.h"
#include "told.h"
#include "users.h"
#include "ws_out.h"

struct worker;
struct resume;
struct ws_op;

/* Above this much unsent a connection gets no live frames; below the low
 * mark it is fed again; above the last one it is not read from either. */
#define WS_OUT_HIGH (32 * 1024)
#define WS_OUT_LOW (16 * 1024)
#define WS_OUT_STOP_READING (64 * 1024)
/* Operations of one connection at the writer and subscribes not answered;
 * more wait in its socket. */
#define WS_PENDING_MAX 256
#define WS_FRAME_MAX (64 * 1024)
#define WS_PING_MS 25000
#define WS_DEAD_MS 60000

enum ws_state {
	WS_ATTACHING, /* the hub has not granted it yet */
	WS_OPEN,
	WS_CLOSING, /* our close frame is queued or sent */
	WS_GONE     /* closed; freed at the end of the turn */
};

TAILQ_HEAD(feed_queue, feed);
LIST_HEAD(ws_ops, ws_op);

struct ws_conn {
	struct worker *w;
	struct ws_socket s;
	uint8_t state;    /* enum ws_state */
	bool dirty;       /* in the list of those to flush */
	bool want_write;  /* the socket is full; EV_WRITE is armed */
	bool paused;      /* not reading, see ws_conn_throttle() */
	bool peer_closed; /* its close frame came */
	bool failed;      /* what it sends cannot be understood any more */
	bool feeding;     /* in the feeder's queue */
	bool attached;    /* counted by the hub */
	bool relist;      /* its list of rooms is due */
	bool listed;      /* its first list of rooms is complete */
	bool synced;      /* sync.complete has been sent */
	bool peers_due;   /* who is online in some of its rooms is to be told */
	bool presenting;  /* in the queue for that */
	struct ws_codec codec;
	uint16_t refused;   /* close code: its right went while attaching */
	uint32_t sync_left; /* feeds that sync.complete waits for */
	uint32_t pending;   /* operations at the writer */
	uint32_t waiting;   /* answers to subscribe that are due later */
	uint32_t last_rx_s; /* monotonic seconds */
	uint32_t last_tx_s; /* the socket last took a byte, or was empty */
	uint32_t last_ping_s;
	uint32_t typing_s; /* the second that typing_frames counts */
	uint32_t typing_frames;
	uint32_t closing_s;  /* since when WS_CLOSING */
	uint32_t later;      /* place among those to be flushed later */
	uint64_t id;         /* within the worker's incarnation */
	uint64_t key;        /* API key it was opened with; 0 = a JWT */
	uint64_t jwt_n;      /* of the JWT key; 0 = an API key */
	int64_t ends_ms;     /* Unix: its JWT is over; 0 = never */
	uint64_t list_n;     /* batch that its list of rooms shows */
	uint64_t list_after; /* relist goes on after this room */
	uint64_t list_last;  /* list_n of the last complete list */
	uint64_t inbox;      /* its user's inbox id sent last */
	uint32_t rate_limit;
	uint8_t inbox_state; /* enum inbox_state */
	struct user *user;
	struct feed_queue feeds;  /* those not behind */
	struct feed_queue behind; /* those to be paged, in turns */
	struct ws_ops ops;
	struct resume *resume; /* until sync.complete */
	struct told told;      /* of whom that they are online */
	struct ws_out out;
	struct buf in;      /* an incomplete frame */
	struct buf message; /* fragments of an unfinished message; its max is
			     * that of the next message */
	struct event read_ev;
	struct event *write_ev; /* made at the first full socket */
	LIST_ENTRY(ws_conn) in_user;
	TAILQ_ENTRY(ws_conn) in_tick;
	TAILQ_ENTRY(ws_conn) in_feeder;
	TAILQ_ENTRY(ws_conn) in_presence;
	TAILQ_ENTRY(ws_conn) in_attach; /* attaching, in the hub's order */
	struct ws_conn *next_dirty;
	struct ws_conn *next_gone;
};

struct ws_list;

/* The worker's set of connections. */
struct ws_list *ws_list_new(struct worker *w);
void ws_list_free(struct ws_list *l);
/* Sends everybody away (server.shutdown, 1012), at random moments. */
void ws_list_drain(struct ws_list *l, uint64_t timeout_ms);
/* How many are open. */
unsigned ws_list_count(const struct ws_list *l);
/* All feeds and room lists must be read again: events were lost. */
void ws_list_lost(struct ws_list *l);
/* Something changed about this tenant: closes whose right is gone. */
void ws_list_recheck(struct ws_list *l, uint64_t tenant);

/*
 * Begins a connection on a socket taken over from HTTP (takes it, and the
 * bytes in `early`, left empty).  who is copied.  sec_key is checked already;
 * request_id, of at most 128 sane bytes, goes into the 101.
 */
void ws_conn_start(struct worker *w, const struct ws_socket *s,
    struct buf *early, const struct caller *who, const char *sec_key,
    const char *request_id, const char *peer, bool resume);
/* The hub's answer to its attach. */
void ws_conn_attached(struct worker *w, uint64_t id, bool granted);

/* Queues a frame that others may share; flushed at the end of the turn. */
void ws_conn_send_shared(struct ws_conn *c, struct ws_shared *f);
/* Queues a text frame of its own. */
void ws_conn_send_text(struct ws_conn *c, const char *text, size_t len);
/* Sends a close frame and begins to close; further frames are ignored. */
void ws_conn_close(struct ws_conn *c, int code, const char *reason);
/* Closes the socket at once. */
void ws_conn_abort(struct ws_conn *c);
/* An operation ended or output drained: read again if it was too much. */
void ws_conn_throttle(struct ws_conn *c);
/* Output is low enough for another page. */
bool ws_conn_hungry(const struct ws_conn *c);

#endif
