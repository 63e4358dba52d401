/* SPDX-License-Identifier: MIT */
/*
 * Client frames that become operations at the writer, and their answers.
 * Runs in a worker; waits for nothing: the answer is a callback.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "../common/buf.h"
#include "../common/json_text.h"
#include "../common/key.h"
#include "../common/mem.h"
#include "../common/submit.h"
#include "../common/records_notify.h"
#include "fields.h"
#include "worker.h"
#include "ws_command.h"
#include "ws_commands.h"
#include "ws_conn.h"
#include "ws_list.h"

/* An operation at the writer, for its answer. */
struct ws_op {
	LIST_ENTRY(ws_op) link;
	struct ws_conn *c;
	struct submit_op *op;
	char token[ID_TOKEN_SIZE];
	size_t id_len;
	size_t client_len; /* client_msg_id as JSON text */
	char text[];       /* id, then client_msg_id */
};

static struct ws_op *
ws_op_new(struct command *m, const char *token, struct str client)
{
	struct ws_op *op;
	struct buf b;

	buf_init(&b, 2048);
	if (client.len > 0)
		json_text_string(&b, client.p, client.len);
	op = mem_alloc(sizeof(*op) + m->id_len + b.len + 1);
	op->c = m->c;
	memcpy(op->token, token, ID_TOKEN_LEN);
	op->id_len = m->id_len;
	op->client_len = b.len;
	memcpy(op->text, m->id, m->id_len);
	if (b.len > 0)
		memcpy(op->text + m->id_len, buf_head(&b), b.len);
	buf_free(&b);
	return op;
}

/* Hands the operation begun with submit_begin() over. */
static void
ws_op_submit(struct command *m, struct ws_op *op, submit_cb *cb)
{
	struct ws_conn *c = m->c;

	op->op = submit_end(c->w->submit, cb, op);
	if (op->op == NULL) {
		free(op);
		command_error(m, OUTCOME_BUSY, NULL, NULL, 1000);
		return;
	}
	LIST_INSERT_HEAD(&c->ops, op, link);
	c->pending++;
}

static void
ws_op_done(struct ws_op *op)
{
	struct ws_conn *c = op->c;

	LIST_REMOVE(op, link);
	c->pending--;
	free(op);
	ws_conn_drain(c);
	ws_conn_throttle(c);
}

/* True when the reply is a refusal, which has then been answered. */
static bool
ws_op_refused(struct ws_op *op, const struct rec_reply *r)
{
	struct command m = { 0 };

	if (r->outcome == OUTCOME_OK || r->outcome == OUTCOME_REPEATED)
		return false;
	if (r->outcome == OUTCOME_UNKNOWN) {
		/* An answer might be a lie: the client asks again. */
		ws_conn_close(op->c, WS_CLOSE_INTERNAL, "outcome unknown");
		return true;
	}
	m.c = op->c;
	m.id_len = op->id_len;
	memcpy(m.id, op->text, op->id_len);
	command_error(&m, (enum outcome)r->outcome, NULL, NULL,
	    outcome_info((enum outcome)r->outcome)->temporary ? 1000 : 0);
	return true;
}

static void
command_sent(const struct rec_reply *r, void *arg)
{
	struct ws_op *op = arg;
	char id[ID_MESSAGE_SIZE];
	struct buf b;

	if (ws_op_refused(op, r)) {
		ws_op_done(op);
		return;
	}
	id_message(id, op->token, (int64_t)r->ms, r->seq);
	buf_init(&b, 8192);
	buf_adds(&b, "{\"type\":\"message.sent\"");
	if (op->id_len > 0) {
		buf_adds(&b, ",\"request_id\":");
		buf_add(&b, op->text, op->id_len);
	}
	if (op->client_len > 0) {
		buf_adds(&b, ",\"client_msg_id\":");
		buf_add(&b, op->text + op->id_len, op->client_len);
	}
	buf_adds(&b, ",\"room_id\":\"room_");
	buf_adds(&b, op->token);
	buf_adds(&b, "\",\"message_id\":\"");
	buf_adds(&b, id);
	buf_adds(&b, "\",\"seq\":");
	buf_add_u64(&b, r->seq);
	buf_adds(&b, ",\"created_at\":");
	json_text_time(&b, (int64_t)r->ms);
	buf_adds(&b,
	    r->outcome == OUTCOME_REPEATED ? ",\"duplicate\":true}" :
					     ",\"duplicate\":false}");
	ws_conn_send_text(op->c, buf_head(&b), b.len);
	buf_free(&b);
	ws_op_done(op);
}

void
command_send_message(struct command *m)
{
	struct ws_conn *c = m->c;
	struct rec_op_send r = { 0 };
	struct field_error e;
	const char *token;
	struct str id;

	if (command_room_id(m, &id) == -1)
		return;
	if (field_content(m->o, &r.content, &e) == -1 ||
	    field_json(m->o, "meta", &r.meta, &e) == -1 ||
	    field_client_msg_id(m->o, &r.client_msg_id, &e) == -1) {
		command_field_error(m, &e);
		return;
	}
	if ((token = command_room(m, id)) == NULL)
		return;
	r.room.p = token;
	r.room.len = ID_TOKEN_LEN;
	r.sender.p = c->user->name;
	r.sender.len = c->user->len;
	if (r.client_msg_id.len > 0)
		key_content_hash(r.hash, r.content.p, r.content.len, r.meta.p,
		    r.meta.len);
	(void)rec_op_send_put(submit_begin(c->w->submit, &r.h, c->user->tenant),
	    &r);
	ws_op_submit(m, ws_op_new(m, token, r.client_msg_id), command_sent);
}

static void
command_acked(const struct rec_reply *r, void *arg)
{
	struct ws_op *op = arg;
	struct ws_conn *c = op->c;
	struct buf b;

	if (ws_op_refused(op, r)) {
		ws_op_done(op);
		return;
	}
	buf_init(&b, 8192);
	buf_addf(&b,
	    "{\"type\":\"ack.received\",\"room_id\":\"room_%s\","
	    "\"seq\":%llu,\"user_id\":",
	    op->token, (unsigned long long)r->seq);
	json_text_string(&b, c->user->name, c->user->len);
	if (op->id_len > 0)
		buf_addf(&b, ",\"request_id\":%.*s", (int)op->id_len, op->text);
	buf_adds(&b, "}");
	ws_conn_send_text(c, buf_head(&b), b.len);
	buf_free(&b);
	ws_op_done(op);
}

void
command_ack(struct command *m)
{
	struct ws_conn *c = m->c;
	struct str id, none = { "", 0 };
	struct rec_op_ack r = { 0 };
	struct field_error e;
	const char *token;

	if (command_room_id(m, &id) == -1)
		return;
	if (field_seq(m->o, "seq", &r.seq, &e) == -1) {
		command_field_error(m, &e);
		return;
	}
	if ((token = command_room(m, id)) == NULL)
		return;
	r.conn = c->id;
	r.room.p = token;
	r.room.len = ID_TOKEN_LEN;
	r.user.p = c->user->name;
	r.user.len = c->user->len;
	(void)rec_op_ack_put(submit_begin(c->w->submit, &r.h, c->user->tenant),
	    &r);
	ws_op_submit(m, ws_op_new(m, token, none), command_acked);
}

static void
command_notification_acked(const struct rec_reply *r, void *arg)
{
	struct ws_op *op = arg;
	struct command m = { .c = op->c, .id_len = op->id_len };

	if (!ws_op_refused(op, r)) {
		memcpy(m.id, op->text, op->id_len);
		command_ok(&m);
	}
	ws_op_done(op);
}

void
command_notification_ack(struct command *m)
{
	struct ws_conn *c = m->c;
	struct str id, none = { "", 0 };
	struct rec_op_of_user r = { 0 };
	struct field_error e;
	const char *token;

	if (field_string(m->o, "notification_id", 128, &id, &e) == -1) {
		command_field_error(m, &e);
		return;
	}
	token = id_token_of(id.p, id.len, "ntf_");
	if (token == NULL) {
		command_error(m, OUTCOME_NOTIFICATION_NOT_FOUND, NULL, NULL, 0);
		return;
	}
	r.user = (struct str){ c->user->name, c->user->len };
	r.subject = (struct str){ token, ID_TOKEN_LEN };
	(void)rec_op_of_user_put(submit_begin(c->w->submit, &r.h,
				     c->user->tenant),
	    REC_OP_NOTIFICATION_ACK, &r);
	ws_op_submit(m, ws_op_new(m, token, none), command_notification_acked);
}

void
ws_commands_cancel(struct ws_conn *c)
{
	struct ws_op *op;

	while ((op = LIST_FIRST(&c->ops)) != NULL) {
		LIST_REMOVE(op, link);
		submit_cancel(op->op);
		free(op);
	}
	c->pending = 0;
}
