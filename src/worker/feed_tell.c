/* SPDX-License-Identifier: MIT */
/*
 * The frames that feeding produces: messages of a backlog, gaps, rooms
 * joined and left, sync.complete and the answers to subscribe.  Runs in a
 * worker; decides nothing about positions.
 */
#include <stdlib.h>
#include <string.h>

#include "../common/json_text.h"
#include "../common/mem.h"
#include "../common/outcome.h"
#include "feeder.h"
#include "reader.h"
#include "resume.h"
#include "room_json.h"
#include "worker.h"
#include "ws_conn.h"
#include "ws_presence.h"

/* More than one room's head and the end of the frame, a request_id included,
 * take. */
#define TELL_HEAD_MAX 4096

struct subscribe {
	struct subscribe *next;
	bool has_target;
	uint64_t target; /* head and rev when it was first looked at */
	uint64_t target_rev;
	size_t len;
	char request_id[]; /* JSON text */
};

void
feed_tell_own(struct ws_conn *c, const char *text, size_t len,
    struct str client_msg_id)
{
	struct ws_shared *f;
	struct buf own;

	buf_init(&own, FEEDER_TEXT_MAX);
	message_json_own(&own, text, len, client_msg_id.p, client_msg_id.len);
	f = ws_shared_new(WS_TEXT, buf_head(&own), own.len);
	f->message = true;
	ws_conn_send_shared(c, f);
	ws_shared_unref(f);
	buf_free(&own);
}

void
feed_tell_change(struct ws_conn *c, const struct message *m, struct buf *text)
{
	buf_clear(text);
	message_json(text, m, MESSAGE_CHANGE);
	ws_conn_send_text(c, buf_head(text), text->len);
}

void
feed_tell_gap(struct ws_conn *c, const struct feed *f, uint64_t to)
{
	struct buf b;

	buf_init(&b, 512);
	buf_addf(&b,
	    "{\"type\":\"sync.gap\",\"room_id\":\"room_%s\","
	    "\"from\":%llu,\"to\":%llu,\"reason\":\"retention\"}",
	    f->room->token, (unsigned long long)(f->sent + 1),
	    (unsigned long long)to);
	ws_conn_send_text(c, buf_head(&b), b.len);
	buf_free(&b);
}

void
feed_tell_room(struct ws_conn *c, const char *type,
    const struct reader_room *room)
{
	struct buf b;

	buf_init(&b, 1024 * 1024);
	buf_addf(&b, "{\"type\":\"%s\",\"room_id\":\"room_%s\",\"room\":", type,
	    room->token);
	room_json(&b, room);
	buf_adds(&b, "}");
	ws_conn_send_text(c, buf_head(&b), b.len);
	buf_free(&b);
}

static void
tell_gone(struct ws_conn *c, const char *type, const char *token)
{
	struct buf b;

	buf_init(&b, 256);
	buf_addf(&b, "{\"type\":\"%s\",\"room_id\":\"room_%s\"}", type, token);
	ws_conn_send_text(c, buf_head(&b), b.len);
	buf_free(&b);
}

void
feed_tell_left(struct ws_conn *c, const char *token)
{
	tell_gone(c, "room.left", token);
}

void
feed_tell_deleted(struct ws_conn *c, const char *token)
{
	tell_gone(c, "room.deleted", token);
}

/* A room too many for one frame is left out: it then starts at last_ack, as
 * every room that a client does not name. */
static void
tell_head(struct buf *b, const struct feed *f, bool *first)
{
	if (b->len > FEEDER_TEXT_MAX - TELL_HEAD_MAX)
		return;
	buf_addf(b, "%s\"room_%s\":{\"seq\":%llu,\"rev\":%llu}",
	    *first ? "" : ",", f->room->token, (unsigned long long)f->sent,
	    (unsigned long long)f->rev);
	*first = false;
}

void
feed_sync_complete(struct ws_conn *c)
{
	struct str id = resume_request_id(c);
	struct feed *f;
	struct buf b;
	bool first = true;

	if (c->synced || !c->listed || c->sync_left > 0 ||
	    !ws_presence_synced(c))
		return;
	c->synced = true;
	buf_init(&b, FEEDER_TEXT_MAX);
	buf_adds(&b, "{\"type\":\"sync.complete\",\"heads\":{");
	TAILQ_FOREACH(f, &c->feeds, in_conn)
		tell_head(&b, f, &first);
	TAILQ_FOREACH(f, &c->behind, in_conn)
		tell_head(&b, f, &first);
	buf_adds(&b, "}");
	if (id.len > 0)
		buf_addf(&b, ",\"request_id\":%.*s", (int)id.len, id.p);
	buf_adds(&b, "}");
	ws_conn_send_text(c, buf_head(&b), b.len);
	buf_free(&b);
	resume_free(c);
}

void
feed_subscribe(struct feed *f, const struct subscribe_from *from,
    struct str request_id)
{
	struct subscribe *s = mem_alloc(sizeof(*s) + request_id.len + 1);
	struct subscribe **at = &f->subscribes;

	s->len = request_id.len;
	memcpy(s->request_id, request_id.p, request_id.len);
	while (*at != NULL)
		at = &(*at)->next;
	*at = s;
	f->conn->waiting++;
	if (from->has_seq)
		f->sent = from->seq;
	if (from->has_rev)
		f->rev = from->rev;
	if (from->has_seq || from->has_rev || f->state == FEED_PAUSED) {
		if (f->room->confirmed)
			feed_set_state(f, FEED_BEHIND);
		else
			feed_set_state(f, FEED_WAITING);
	}
	if (f->state == FEED_LIVE)
		feed_subscribes_answer(f);
}

void
feed_unsubscribe(struct feed *f)
{
	feed_set_state(f, FEED_PAUSED);
	feed_subscribes_answer(f);
	if (f->syncing) {
		f->syncing = false;
		f->conn->sync_left--;
		feed_sync_complete(f->conn);
	}
}

void
feed_subscribes_target(struct feed *f, uint64_t head, uint64_t rev)
{
	for (struct subscribe *s = f->subscribes; s != NULL; s = s->next) {
		if (!s->has_target) {
			s->has_target = true;
			s->target = head;
			s->target_rev = rev;
		}
	}
}

/* Answers those that have been caught up, or will not be (paused). */
void
feed_subscribes_answer(struct feed *f)
{
	struct subscribe *s;

	while ((s = f->subscribes) != NULL) {
		struct buf b;
		bool first = true;

		if (f->state != FEED_LIVE && f->state != FEED_PAUSED &&
		    !(s->has_target && f->sent >= s->target &&
			f->rev >= s->target_rev))
			return;
		buf_init(&b, 2048);
		buf_adds(&b, "{\"type\":\"sync.complete\",\"heads\":{");
		tell_head(&b, f, &first);
		buf_adds(&b, "}");
		if (s->len > 0)
			buf_addf(&b, ",\"request_id\":%s", s->request_id);
		buf_adds(&b, "}");
		ws_conn_send_text(f->conn, buf_head(&b), b.len);
		buf_free(&b);
		f->subscribes = s->next;
		f->conn->waiting--;
		free(s);
	}
}

/* He is no member any more: nothing will catch up. */
void
feed_subscribes_refuse(struct feed *f, enum outcome o)
{
	const struct outcome_info *info = outcome_info(o);

	for (struct subscribe *s = f->subscribes; s != NULL; s = s->next) {
		struct buf b;

		if (s->len == 0)
			continue;
		buf_init(&b, 4096);
		buf_addf(&b, "{\"type\":\"error\",\"code\":\"%s\",\"message\":",
		    info->code);
		json_text_string(&b, info->message, strlen(info->message));
		buf_addf(&b, ",\"temporary\":false,\"request_id\":%s}",
		    s->request_id);
		ws_conn_send_text(f->conn, buf_head(&b), b.len);
		buf_free(&b);
	}
}

void
feed_subscribes_drop(struct feed *f)
{
	struct subscribe *s;

	while ((s = f->subscribes) != NULL) {
		f->subscribes = s->next;
		f->conn->waiting--;
		free(s);
	}
}
