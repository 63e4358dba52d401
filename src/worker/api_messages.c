/* SPDX-License-Identifier: MIT */
/*
 * /rooms/{room_id}/messages: send, list, get one.  Runs in a worker; storing
 * and the rules of a send are the writer's.
 */
#include <json-c/json.h>
#include <string.h>

#include "../common/buf.h"
#include "../common/key.h"
#include "../common/message.h"
#include "../common/submit.h"
#include "../common/utf8.h"
#include "api.h"
#include "api_args.h"
#include "api_rooms.h"
#include "http.h"
#include "worker.h"

#define MESSAGES_DEFAULT 50
#define MESSAGES_MOST 100

/* ---- send ---- */

/* What the answer needs of the request; texts stay in its JSON. */
struct send {
	char token[ID_TOKEN_SIZE];
	struct str content;
	struct str meta;
};

static bool
stored_row(const struct message *m, void *arg)
{
	message_json(arg, m, MESSAGE_REST);
	return false;
}

void
api_message_stored(struct http_request *q, uint64_t room, const char *token,
    uint64_t seq)
{
	struct buf *b = http_body(q);

	if (reader_message(http_worker(q)->reader, room, token, seq, stored_row,
		b) == 1)
		http_reply(q, 200, b);
	else
		http_abandon(q);
}

static void
send_done(const struct rec_reply *reply, void *arg)
{
	struct http_request *q = arg;
	const struct caller *who = http_caller(q);
	struct send *send = http_scratch_get(q);
	struct buf *b;

	if (reply->outcome == OUTCOME_REPEATED) {
		api_message_stored(q, reply->room, send->token, reply->seq);
		return;
	}
	if (reply->outcome != OUTCOME_OK) {
		api_refuse(q, reply->outcome);
		return;
	}
	b = http_body(q);
	message_json(b,
	    &(struct message){
		.room_token = send->token,
		.seq = reply->seq,
		.created_ms = (int64_t)reply->ms,
		.sender = who->user,
		.sender_len = who->user_len,
		.content = send->content.p,
		.content_len = send->content.len,
		.meta = send->meta.len > 0 ? send->meta.p : NULL,
		.meta_len = send->meta.len,
	    },
	    MESSAGE_REST);
	http_reply(q, 201, b);
}

/* The Idempotency-Key header is another way to say client_msg_id. */
static int
send_client_id(struct http_request *q, struct str *id, struct field_error *err)
{
	const char *key = http_header(q, "Idempotency-Key");
	size_t len;

	if (field_client_msg_id(http_json(q), id, err) == -1)
		return -1;
	if (key == NULL)
		return 0;
	len = strlen(key);
	err->field = "Idempotency-Key";
	err->message = "Idempotency-Key has 1 to 128 bytes of UTF-8.";
	if (len == 0 || len > FIELD_CLIENT_MSG_ID_MAX || !utf8_valid(key, len))
		return -1;
	err->field = "client_msg_id";
	err->message = "client_msg_id and the Idempotency-Key header differ: "
		       "send one of them.";
	if (id->len != 0 && (id->len != len || memcmp(id->p, key, len) != 0))
		return -1;
	id->p = key;
	id->len = len;
	return 0;
}

void
api_messages_send(struct http_request *q)
{
	const struct caller *who = http_caller(q);
	struct submit *s = http_worker(q)->submit;
	struct send *send = http_scratch(q, sizeof(*send));
	struct rec_op_send op = { 0 };
	const char *token = api_room_token(q);
	struct field_error err;
	struct buf *b;

	if (field_content(http_json(q), &send->content, &err) == -1 ||
	    field_json(http_json(q), "meta", &send->meta, &err) == -1 ||
	    send_client_id(q, &op.client_msg_id, &err) == -1) {
		api_args_refuse(q, &err);
		return;
	}
	if (token == NULL) {
		http_error(q, OUTCOME_ROOM_NOT_FOUND, NULL, NULL);
		return;
	}
	memcpy(send->token, token, ID_TOKEN_LEN);
	b = submit_begin(s, &op.h, who->tenant);
	op.room = (struct str){ token, ID_TOKEN_LEN };
	op.sender = (struct str){ who->user, who->user_len };
	op.content = send->content;
	op.meta = send->meta;
	/* Only a repeat is ever compared. */
	if (op.client_msg_id.len > 0)
		key_content_hash(op.hash, op.content.p, op.content.len,
		    op.meta.p, op.meta.len);
	rec_op_send_put(b, &op);
	api_submitted(q, submit_end(s, send_done, q));
}

/* ---- list ---- */

struct page {
	struct buf *b;
	unsigned rows;
	uint64_t floor; /* lower ones are trimmed, if not yet gone */
	uint64_t first, last;
};

static bool
page_row(const struct message *m, void *arg)
{
	struct page *p = arg;

	if (m->seq < p->floor)
		return true;
	if (p->rows++ == 0)
		p->first = m->seq;
	else
		buf_adds(p->b, ",");
	p->last = m->seq;
	message_json(p->b, m, MESSAGE_REST);
	return true;
}

/* ?after_seq= and ?before_seq=; false when answered. */
static bool
list_range(struct http_request *q, bool *before, uint64_t *seq)
{
	const char *after_text = http_query(q, "after_seq");
	const char *before_text = http_query(q, "before_seq");
	const char *text = before_text != NULL ? before_text : after_text;

	*before = before_text != NULL;
	*seq = 0;
	if (before_text != NULL && after_text != NULL) {
		http_error(q, OUTCOME_INVALID, "before_seq",
		    "Give after_seq or before_seq, not both.");
		return false;
	}
	if (text == NULL || api_args_number(text, seq) == 0)
		return true;
	http_error(q, OUTCOME_INVALID, *before ? "before_seq" : "after_seq",
	    "A seq is a whole number from 0 on.");
	return false;
}

/* One page within the snapshot; false when it was answered otherwise. */
static bool
list_page(struct http_request *q, struct page *p, bool before, uint64_t seq,
    unsigned limit, bool *more)
{
	struct reader *r = http_worker(q)->reader;
	struct reader_room room;
	int rc;

	if (!api_room_open(q, &room))
		return false;
	p->b = http_body(q);
	p->floor = room.first_seq;
	if (!before && seq + 1 < room.first_seq)
		seq = room.first_seq - 1;
	buf_adds(p->b, "{\"messages\":[");
	rc = before ? reader_messages_before(r, room.id, room.token, seq, limit,
			  page_row, p) :
		      reader_messages_after(r, room.id, room.token, seq, limit,
			  page_row, p);
	if (rc == -1) {
		http_error(q, OUTCOME_STORAGE, NULL, NULL);
		return false;
	}
	/* seqs are dense from first_seq to last_seq. */
	*more = p->rows > 0 &&
	    (before ? p->first > room.first_seq : p->last < room.last_seq);
	return true;
}

void
api_messages_list(struct http_request *q)
{
	struct reader *r = http_worker(q)->reader;
	struct page p = { 0 };
	bool before, more, good;
	uint64_t seq, n;
	unsigned limit;

	if (!list_range(q, &before, &seq) ||
	    !api_args_limit(q, MESSAGES_DEFAULT, MESSAGES_MOST, &limit))
		return;
	if (reader_begin(r, &n) == -1) {
		http_error(q, OUTCOME_STORAGE, NULL, NULL);
		return;
	}
	good = list_page(q, &p, before, seq, limit, &more);
	reader_end(r);
	if (!good)
		return;
	buf_adds(p.b, more ? "],\"has_more\":true}" : "],\"has_more\":false}");
	http_reply(q, 200, p.b);
}

/* ---- get one ---- */

struct one {
	struct buf *b;
	int64_t created_ms;
	bool found;
};

static bool
one_row(const struct message *m, void *arg)
{
	struct one *one = arg;

	one->found = m->created_ms == one->created_ms;
	if (one->found)
		message_json(one->b, m, MESSAGE_REST);
	return false;
}

void
api_messages_get(struct http_request *q)
{
	struct reader *r = http_worker(q)->reader;
	struct str id = http_param(q, 1);
	struct one one = { 0 };
	char token[ID_TOKEN_SIZE];
	struct reader_room room;
	uint64_t seq, n;
	bool good;
	int rc = 0;

	if (reader_begin(r, &n) == -1) {
		http_error(q, OUTCOME_STORAGE, NULL, NULL);
		return;
	}
	good = api_room_open(q, &room);
	if (good) {
		one.b = http_body(q);
		if (id_message_parse(id.p, id.len, token, &one.created_ms,
			&seq) == 0 &&
		    strcmp(token, room.token) == 0 && seq >= room.first_seq)
			rc = reader_message(r, room.id, room.token, seq,
			    one_row, &one);
	}
	reader_end(r);
	if (!good)
		return;
	if (rc == -1)
		http_error(q, OUTCOME_STORAGE, NULL, NULL);
	else if (!one.found)
		http_error(q, OUTCOME_MESSAGE_NOT_FOUND, NULL, NULL);
	else
		http_reply(q, 200, one.b);
}
