/* SPDX-License-Identifier: MIT */
/*
 * Takes deliveries that are due, sends each as it now stands, and has the
 * writer note what became of it.  Runs in the courier.  One that has been
 * answered and could not be noted keeps its place until it is, so that it
 * is not sent again and again.
 */
#include "deliver.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "../common/buf.h"
#include "../common/clock.h"
#include "../common/log.h"
#include "../common/mem.h"
#include "../common/page.h"
#include "../common/records_courier.h"
#include "../common/submit.h"
#include "absence.h"
#include "bus.h"
#include "courier.h"
#include "post.h"
#include "retry.h"
#include "tenants.h"
#include "trouble.h"
#include "view.h"
#include "webhook.h"

struct delivery {
	LIST_ENTRY(delivery) entry;
	struct deliver *d;
	struct tenant *t;
	struct view_delivery row;
	bool waits; /* for its report to be taken */
	int64_t tried_ms;
	struct rec_op_delivery_result result;
	char error[DELIVERY_ERROR_MAX + 1];
};

struct deliver {
	struct courier *c;
	LIST_HEAD(, delivery) all;
	unsigned active;
	struct troubles *troubles;
	struct view_tenant tenant; /* scratch: the one whose turn it is */
};

static void delivery_report(struct delivery *v);

struct deliver *
deliver_new(struct courier *c)
{
	struct deliver *d = mem_alloc(sizeof(*d));

	d->c = c;
	LIST_INIT(&d->all);
	d->troubles = troubles_new();
	return d;
}

static void
delivery_free(struct delivery *v)
{
	LIST_REMOVE(v, entry);
	v->d->active--;
	v->t->sending--;
	free(v);
}

void
deliver_free(struct deliver *d)
{
	if (d == NULL)
		return;
	while (!LIST_EMPTY(&d->all))
		delivery_free(LIST_FIRST(&d->all));
	troubles_free(d->troubles);
	free(d);
}

unsigned
deliver_active(const struct deliver *d)
{
	return d->active;
}

static void
delivery_count(const struct delivery *v, enum page_counter counter)
{
	page_add(v->d->c->page, PAGE_SLOT_COURIER, counter, 1);
}

/* ---- what became of it ---- */

/* It has left its place; the next may come. */
static void
delivery_end(struct delivery *v)
{
	struct courier *c = v->d->c;

	tenants_wait(c->tenants, v->t, TENANT_SEND);
	delivery_free(v);
	courier_work(c);
}

static void
delivery_reported(const struct rec_reply *reply, void *arg)
{
	struct delivery *v = arg;

	if (reply->outcome == OUTCOME_OK ||
	    reply->outcome == OUTCOME_REPEATED) {
		delivery_end(v);
		return;
	}
	v->waits = true;
	courier_later(v->d->c);
}

static void
delivery_report(struct delivery *v)
{
	struct submit *s = v->d->c->submit;
	struct buf *b;

	v->waits = false;
	v->result.delivery = v->row.id;
	v->result.attempts = v->row.attempts;
	v->result.error = (struct str){ v->error, strlen(v->error) };
	b = submit_begin(s, &v->result.h, v->t->id);
	(void)rec_op_delivery_result_put(b, &v->result);
	if (submit_end(s, delivery_reported, v) == NULL) {
		v->waits = true;
		courier_later(v->d->c);
	}
}

void
deliver_again(struct deliver *d)
{
	struct delivery *v, *next;

	for (v = LIST_FIRST(&d->all); v != NULL; v = next) {
		next = LIST_NEXT(v, entry);
		if (v->waits)
			delivery_report(v);
	}
}

static void
delivery_done(struct delivery *v)
{
	v->result.result = DELIVERY_DONE;
	delivery_report(v);
}

/* Not each time; a tenant reads less of it than this. */
static void
delivery_log(const struct delivery *v, bool dead, const struct post_result *r)
{
	uint64_t n = troubles_note(v->d->troubles, v->t->id,
	    dead ? TROUBLE_DEAD : TROUBLE_FAILED, clock_mono_ms());
	char quoted[300];

	if (n == 0)
		return;
	log_write(dead ? LOG_LEVEL_WARN : LOG_LEVEL_INFO,
	    dead ? "webhook given up" : "webhook failed",
	    "tenant=%llu times=%llu delivery=dlv_%s attempt=%u error=%s%s%s",
	    (unsigned long long)v->t->id, (unsigned long long)n, v->row.token,
	    (unsigned)v->row.attempts + 1,
	    log_quote(quoted, sizeof(quoted), r->error, strlen(r->error)),
	    r->address[0] != '\0' ? " address=" : "", r->address);
}

static void
delivery_failed(struct delivery *v, const struct post_result *r)
{
	const struct config *config = &v->d->c->config;
	bool dead = v->row.attempts + 1 >= config->retry_max_attempts;

	(void)snprintf(v->error, sizeof(v->error), "%s", r->error);
	v->result.result = dead ? DELIVERY_DEAD : DELIVERY_FAILED;
	v->result.tried_ms = (uint64_t)v->tried_ms;
	v->result.next_ms = (uint64_t)clock_unix_ms() +
	    retry_wait_ms(config->retry_interval_ms, v->row.attempts + 1,
		randombytes_random(), r->retry_after_s);
	delivery_count(v, COUNTER_WEBHOOKS_FAILED);
	if (dead)
		delivery_count(v, COUNTER_WEBHOOKS_DEAD);
	delivery_log(v, dead, r);
	delivery_report(v);
}

static void
delivery_posted(const struct post_result *r, void *arg)
{
	struct delivery *v = arg;

	tenants_learn(v->t, r->success);
	if (!r->success) {
		delivery_failed(v, r);
		return;
	}
	if (troubles_note(v->d->troubles, v->t->id, TROUBLE_OVER,
		clock_mono_ms()) != 0)
		log_info("webhook works again", "tenant=%llu",
		    (unsigned long long)v->t->id);
	delivery_count(v, COUNTER_WEBHOOKS_DELIVERED);
	delivery_done(v);
}

/* ---- sending ---- */

/* As it now stands.  1, 0 when there is none any more, -1 failed. */
static int
delivery_body(const struct delivery *v, const struct webhook *w,
    struct buf *body)
{
	struct view *view = v->d->c->view;
	struct view_message m;
	struct notify_text t;
	int rc;

	if (v->row.kind == WEBHOOK_NOTIFICATION) {
		rc = view_notification(view, v->t->id, v->row.room,
		    w->recipient, &t);
		if (rc == 1)
			webhook_notification(body, w, &t);
	} else {
		rc = view_message(view, v->t->id, v->row.room, v->row.seq,
		    w->recipient, &m);
		if (rc == 1)
			webhook_message(body, w, &m);
	}
	view_release(view);
	return rc;
}

static void
delivery_send(struct delivery *v, const struct view_tenant *tenant)
{
	struct courier *c = v->d->c;
	struct webhook w = { .id = v->row.token,
		.recipient = { v->row.recipient, v->row.recipient_len },
		.tenant = tenant->token };
	struct post_result unsent = { 0 };
	const char *error = NULL;
	struct buf body;
	int rc;

	v->tried_ms = clock_unix_ms();
	w.unix_s = v->tried_ms / 1000;
	buf_init(&body, WEBHOOK_BODY_MAX);
	if ((rc = delivery_body(v, &w, &body)) == 0) {
		/* Deleted, too old, acknowledged, or its recipient is no
		 * member any more: nobody wants it. */
		buf_free(&body);
		delivery_done(v);
		return;
	}
	if (rc == -1 || body.failed)
		error = "what is to be delivered could not be read";
	else
		error = webhook_sign(&w, c->secrets, tenant, &body);
	if (error == NULL &&
	    post_start(c->poster, tenant->url, w.lines, w.nlines, &body,
		delivery_posted, v) == NULL)
		error = "the request could not be begun";
	buf_free(&body);
	if (error != NULL) {
		(void)snprintf(unsent.error, sizeof(unsent.error), "%s", error);
		delivery_failed(v, &unsent);
	}
}

/* Whether its recipient is absent was not known until now. */
static void
delivery_answered(const uint32_t *states, void *arg)
{
	struct delivery *v = arg;
	struct view_tenant tenant;
	struct str user = { v->row.recipient, v->row.recipient_len };
	uint32_t wait_ms = 0;

	if (absence_choose(&user, states, 1, &user, &wait_ms) == 0) {
		delivery_done(v);
		return;
	}
	if (wait_ms > 0) {
		v->result.result = DELIVERY_WAIT;
		v->result.next_ms = (uint64_t)clock_unix_ms() + wait_ms;
		delivery_report(v);
		return;
	}
	if (view_tenant(v->d->c->view, v->t->id, &tenant) == 1 &&
	    tenant.url[0] != '\0' && !tenant.disabled)
		delivery_send(v, &tenant);
	else
		delivery_end(v); /* its next turn finds out why */
}

/* ---- whose turn it is ---- */

static void
drop_done(const struct rec_reply *reply, void *arg)
{
	struct tenant *t = arg;
	struct courier *c = ((struct deliver *)t->owner)->c;

	t->dropping = false;
	if (reply->outcome == OUTCOME_OK && reply->seq > 0)
		tenants_wait(c->tenants, t, TENANT_SEND);
	else if (reply->outcome != OUTCOME_OK &&
	    reply->outcome != OUTCOME_REPEATED)
		courier_later(c);
	courier_work(c);
}

/* The tenant has no url any more: what waits for it goes. */
static void
deliver_drop(struct deliver *d, struct tenant *t)
{
	struct rec_op_webhook_drop op;
	struct buf *b = submit_begin(d->c->submit, &op.h, t->id);

	(void)rec_op_webhook_drop_put(b, &op);
	t->owner = d;
	t->dropping = submit_end(d->c->submit, drop_done, t) != NULL;
	if (!t->dropping)
		courier_later(d->c);
}

struct pick {
	const struct deliver *d;
	struct view_delivery row;
	bool found;
};

static bool
pick_row(const struct view_delivery *row, void *arg)
{
	struct pick *p = arg;
	const struct delivery *v;

	LIST_FOREACH(v, &p->d->all, entry)
		if (v->row.id == row->id)
			return true;
	p->row = *row;
	p->found = true;
	return false;
}

/* The tenant's next row that is due and not under way.  0: none now. */
static int
deliver_pick(struct deliver *d, struct tenant *t, struct view_delivery *row)
{
	struct pick p = { .d = d };
	int64_t now = clock_unix_ms();

	if (view_due(d->c->view, t->id, now, t->sending + 1, pick_row, &p) ==
	    -1)
		return -1;
	*row = p.row;
	if (p.found)
		return 1;
	t->due_ms = 0;
	return view_next_due(d->c->view, t->id, now, &t->due_ms) == -1 ? -1 : 0;
}

bool
deliver_turn(struct deliver *d, struct tenant *t)
{
	struct str user;
	struct delivery *v;
	int rc;

	if (t->dropping || t->sending >= t->limit)
		return false;
	if ((rc = view_tenant(d->c->view, t->id, &d->tenant)) == 1 &&
	    d->tenant.url[0] == '\0') {
		deliver_drop(d, t);
		return false;
	}
	/* One that is disabled or deleted: an event tells when it is not. */
	if (rc == 0 || (rc == 1 && d->tenant.disabled))
		return false;
	v = mem_alloc(sizeof(*v));
	if (rc == -1 || (rc = deliver_pick(d, t, &v->row)) != 1) {
		free(v);
		if (rc == -1)
			courier_later(d->c);
		return false;
	}
	v->d = d;
	v->t = t;
	LIST_INSERT_HEAD(&d->all, v, entry);
	d->active++;
	t->sending++;
	if (v->row.decided) {
		delivery_send(v, &d->tenant);
		return true;
	}
	user = (struct str){ v->row.recipient, v->row.recipient_len };
	bus_ask(d->c->bus, t->id, &user, 1, delivery_answered, v);
	return true;
}
