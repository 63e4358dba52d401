/* SPDX-License-Identifier: MIT */
/*
 * GET /admin/dead-letters, POST …/{id}/retry, DELETE …/{id}: deliveries to a
 * tenant's webhook that were given up, for its backend.  Runs in a worker;
 * they are moved by the writer and sent by the courier.
 */
#include "../common/buf.h"
#include "../common/json_text.h"
#include "../common/records_courier.h"
#include "../common/submit.h"
#include "api.h"
#include "api_args.h"
#include "http.h"
#include "reader.h"
#include "worker.h"

#define DEAD_MOST 100
/* Each has 600 bytes of text at most, some escaped as six. */
#define NOTES_MAX (512U * 1024)

/* They are the tenant's own affair, not its users'. */
static bool
dead_backend(struct http_request *q)
{
	if (http_caller(q)->backend)
		return true;
	http_error(q, OUTCOME_FORBIDDEN, NULL,
	    "Dead letters are for the tenant's backend: send X-API-Key without "
	    "X-User-Id.");
	return false;
}

/* ---- list ---- */

struct dead_page {
	struct buf *b;     /* failed_messages, then all */
	struct buf *notes; /* failed_notifications */
	unsigned left;
	bool more;
	uint64_t at; /* where the page ended */
};

static void
dead_message(struct buf *b, const struct reader_dead_letter *d)
{
	char message[ID_MESSAGE_SIZE];

	id_message(message, d->room_token, d->created_ms, d->seq);
	buf_addf(b, "\"room_id\":\"room_%s\",\"message_id\":\"%s\"",
	    d->room_token, message);
}

static bool
dead_row(const struct reader_dead_letter *d, void *arg)
{
	struct dead_page *p = arg;
	bool note = d->notification[0] != '\0';
	struct buf *b = note ? p->notes : p->b;

	if (p->left == 0) {
		p->more = true;
		return false;
	}
	p->left--;
	p->at = d->id;
	if (b->len > 0 && buf_head(b)[b->len - 1] == '}')
		buf_adds(b, ",");
	buf_addf(b, "{\"id\":\"dlv_%s\",\"attempts\":%u,", d->token,
	    d->attempts);
	buf_adds(b, "\"last_attempt_at\":");
	json_text_time(b, d->last_ms);
	buf_adds(b, ",\"error\":");
	json_text_string(b, d->error.p, d->error.len);
	buf_adds(b, ",");
	if (note)
		buf_addf(b, "\"notification_id\":\"ntf_%s\"", d->notification);
	else
		dead_message(b, d);
	buf_adds(b, ",\"recipient_id\":");
	json_text_string(b, d->recipient.p, d->recipient.len);
	buf_adds(b, "}");
	return true;
}

void
api_dead_letters_list(struct http_request *q)
{
	struct dead_page p = { 0 };
	struct buf notes;
	uint64_t after = 0;
	size_t len;
	int rc;

	if (!api_args_limit(q, DEAD_MOST, DEAD_MOST, &p.left) ||
	    !api_args_cursor(q, 'd', &after, sizeof(after), &len))
		return;
	if (len != 0 && (len != sizeof(after) || after > INT64_MAX)) {
		http_error(q, OUTCOME_INVALID, "cursor",
		    "cursor must be a next_cursor of this list.");
		return;
	}
	if (!dead_backend(q))
		return;
	buf_init(&notes, NOTES_MAX);
	p.notes = &notes;
	p.b = http_body(q);
	buf_adds(p.b, "{\"failed_messages\":[");
	rc = reader_dead_letters(http_worker(q)->reader, http_caller(q)->tenant,
	    after, p.left + 1, dead_row, &p);
	buf_adds(p.b, "],\"failed_notifications\":[");
	buf_add(p.b, buf_head(&notes), notes.len);
	buf_free(&notes);
	if (rc == -1) {
		http_error(q, OUTCOME_STORAGE, NULL, NULL);
		return;
	}
	buf_adds(p.b, "],\"next_cursor\":");
	if (p.more)
		api_args_cursor_put(p.b, 'd', &p.at, sizeof(p.at));
	else
		buf_adds(p.b, "null");
	buf_adds(p.b, "}");
	http_reply(q, 200, p.b);
}

/* ---- retry and drop ---- */

static void
dead_queued(const struct rec_reply *reply, void *arg)
{
	struct http_request *q = arg;
	struct buf *b;

	if (reply->outcome != OUTCOME_OK) {
		api_refuse(q, (enum outcome)reply->outcome);
		return;
	}
	b = http_body(q);
	buf_adds(b, "{}");
	http_reply(q, 202, b);
}

static void
dead_move(struct http_request *q, enum record_type type, submit_cb *cb)
{
	struct submit *s = http_worker(q)->submit;
	struct rec_op_dead_letter op = { 0 };
	struct str id = http_param(q, 0);
	struct buf *b;

	if (!dead_backend(q))
		return;
	op.id.p = id_token_of(id.p, id.len, "dlv_");
	op.id.len = ID_TOKEN_LEN;
	if (op.id.p == NULL) {
		http_error(q, OUTCOME_DEAD_LETTER_NOT_FOUND, NULL, NULL);
		return;
	}
	b = submit_begin(s, &op.h, http_caller(q)->tenant);
	rec_op_dead_letter_put(b, type, &op);
	api_submitted(q, submit_end(s, cb, q));
}

void
api_dead_letters_retry(struct http_request *q)
{
	dead_move(q, REC_OP_DEAD_LETTER_RETRY, dead_queued);
}

void
api_dead_letters_drop(struct http_request *q)
{
	dead_move(q, REC_OP_DEAD_LETTER_DROP, api_done_empty);
}
