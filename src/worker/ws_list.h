/* SPDX-License-Identifier: MIT */
/*
 * All WebSocket connections of a worker: who must be written to at the end
 * of this turn, who is due a ping, who is gone.  Used by ws_conn.c and
 * ws_presence_later.c; others use ws_conn.h.
 */
#ifndef WORKER_WS_LIST_H
#define WORKER_WS_LIST_H

#include <stdbool.h>
#include <stdint.h>

#include "worker.h"
#include "ws_conn.h"

struct json_tokener;

/* Bytes read from a socket in one go. */
#define WS_READ_MAX (64 * 1024)

/* Numbers it, counts it and puts it into the queue of the attaching. */
void ws_list_insert(struct ws_list *l, struct ws_conn *c);
/* The one whose answer from the hub is next; NULL when none waits. */
struct ws_conn *ws_list_attaching(struct ws_list *l);
void ws_list_attach_done(struct ws_list *l, struct ws_conn *c, bool granted);
/* It has something to write, or may be closed, at the end of this turn. */
void ws_list_dirty(struct ws_conn *c);
/* Its socket is closed; it is freed at the end of this turn. */
void ws_list_gone(struct ws_conn *c);
/* Someone is closing: look every second instead of every five. */
void ws_list_closing(struct ws_list *l);
/* What a close frame says when a right has gone. */
const char *ws_list_reason(uint16_t code);
/* The loop's time of this turn, monotonic seconds. */
uint32_t ws_list_now_s(void);
/* WS_READ_MAX bytes for whoever reads right now. */
uint8_t *ws_list_scratch(struct ws_list *l);
/* The parser for frames, to be reset before use. */
struct json_tokener *ws_list_tokener(struct ws_list *l);
const char *ws_list_epoch(const struct ws_list *l);

/* Of ws_conn.c, for the list: write what is queued; send a ping. */
void ws_conn_flush(struct ws_conn *c);
void ws_conn_ping(struct ws_conn *c);
/* Reads no more; closes with 1012 once its operations are answered. */
void ws_conn_drain(struct ws_conn *c);

#endif
