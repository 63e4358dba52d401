/* SPDX-License-Identifier: MIT */
/* /subscriptions: the topics that a user wants.  Runs in a worker. */
#include <json-c/json.h>
#include <stdbool.h>
#include <string.h>

#include "../common/buf.h"
#include "../common/json_text.h"
#include "../common/records_notify.h"
#include "../common/submit.h"
#include "api.h"
#include "api_args.h"
#include "http.h"
#include "reader_notify.h"
#include "worker.h"

#define SUBSCRIPTIONS_MOST 100

static void
subscription_text(struct buf *b, struct str token, struct str topic,
    int64_t created_ms)
{
	buf_adds(b, "{\"id\":\"sub_");
	buf_add(b, token.p, token.len);
	buf_adds(b, "\",\"topic\":");
	json_text_string(b, topic.p, topic.len);
	buf_adds(b, ",\"created_at\":");
	json_text_time(b, created_ms);
	buf_adds(b, "}");
}

struct page {
	struct buf *b;
	unsigned left;
	unsigned rows;
	bool more;
	size_t len; /* where the page ended */
	char topic[NOTIFY_TOPIC_MAX];
};

static bool
list_row(const struct reader_subscription *s, void *arg)
{
	struct page *p = arg;

	if (p->left == 0 || s->topic.len > sizeof(p->topic)) {
		p->more = p->left == 0;
		return false;
	}
	p->left--;
	if (p->rows++ > 0)
		buf_adds(p->b, ",");
	subscription_text(p->b, s->token, s->topic, s->created_ms);
	p->len = s->topic.len;
	memcpy(p->topic, s->topic.p, p->len);
	return true;
}

void
api_subscriptions_list(struct http_request *q)
{
	const struct caller *who = http_caller(q);
	char after[NOTIFY_TOPIC_MAX];
	struct page p = { 0 };
	size_t len;

	if (!api_args_limit(q, SUBSCRIPTIONS_MOST, SUBSCRIPTIONS_MOST,
		&p.left) ||
	    !api_args_cursor(q, 's', after, sizeof(after), &len))
		return;
	p.b = http_body(q);
	buf_adds(p.b, "{\"subscriptions\":[");
	if (reader_subscriptions(http_worker(q)->reader, who->tenant, who->user,
		who->user_len, (struct str){ after, len }, p.left + 1, list_row,
		&p) == -1) {
		http_error(q, OUTCOME_STORAGE, NULL, NULL);
		return;
	}
	buf_adds(p.b, "],\"next_cursor\":");
	if (p.more)
		api_args_cursor_put(p.b, 's', p.topic, p.len);
	else
		buf_adds(p.b, "null");
	buf_adds(p.b, "}");
	http_reply(q, 200, p.b);
}

static void
subscribe_done(const struct rec_reply *reply, void *arg)
{
	struct http_request *q = arg;
	struct field_error err;
	struct str topic;
	struct buf *b;

	if (reply->outcome != OUTCOME_OK &&
	    reply->outcome != OUTCOME_REPEATED) {
		api_refuse(q, reply->outcome);
		return;
	}
	if (field_topic(http_json(q), &topic, &err) == -1) {
		http_error(q, OUTCOME_INTERNAL, NULL, NULL);
		return;
	}
	b = http_body(q);
	subscription_text(b, reply->text, topic, (int64_t)reply->ms);
	http_reply(q, reply->outcome == OUTCOME_OK ? 201 : 200, b);
}

void
api_subscriptions_add(struct http_request *q)
{
	const struct caller *who = http_caller(q);
	struct submit *s = http_worker(q)->submit;
	struct rec_op_of_user op = { 0 };
	struct field_error err;
	struct buf *b;

	if (field_topic(http_json(q), &op.subject, &err) == -1) {
		api_args_refuse(q, &err);
		return;
	}
	op.user = (struct str){ who->user, who->user_len };
	b = submit_begin(s, &op.h, who->tenant);
	(void)rec_op_of_user_put(b, REC_OP_SUBSCRIBE, &op);
	api_submitted(q, submit_end(s, subscribe_done, q));
}

void
api_subscriptions_remove(struct http_request *q)
{
	const struct caller *who = http_caller(q);
	struct submit *s = http_worker(q)->submit;
	struct str id = http_param(q, 0);
	const char *token = id_token_of(id.p, id.len, "sub_");
	struct rec_op_of_user op = { 0 };
	struct buf *b;

	if (token == NULL) {
		http_error(q, OUTCOME_SUBSCRIPTION_NOT_FOUND, NULL, NULL);
		return;
	}
	op.user = (struct str){ who->user, who->user_len };
	op.subject = (struct str){ token, ID_TOKEN_LEN };
	b = submit_begin(s, &op.h, who->tenant);
	(void)rec_op_of_user_put(b, REC_OP_UNSUBSCRIBE, &op);
	api_submitted(q, submit_end(s, api_done_empty, q));
}
