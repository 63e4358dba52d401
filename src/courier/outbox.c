/* SPDX-License-Identifier: MIT */
/*
 * Goes through the recipients of outbox rows in pages: reads the members,
 * asks the hub which are absent, and has the writer make deliveries for
 * them.  Runs in the courier; what it forgets by dying stands in the table.
 */
#include "outbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "../common/buf.h"
#include "../common/mem.h"
#include "../common/records_courier.h"
#include "../common/submit.h"
#include "absence.h"
#include "bus.h"
#include "courier.h"
#include "tenants.h"
#include "view.h"

/* One row under way, and one page of its recipients. */
struct step {
	LIST_ENTRY(step) entry;
	struct outbox *o;
	struct tenant *t;
	struct view_outbox row;
	struct buf names; /* of the page, one after another */
	uint32_t n;       /* those to ask for */
	uint32_t rows;
	uint8_t *lens;
	size_t sender_len;
	char sender[VIEW_USER_SIZE];
	size_t next_len; /* 0 = this page is the last */
	char next[VIEW_USER_SIZE];
};

struct outbox {
	struct courier *c;
	LIST_HEAD(, step) steps;
	unsigned active;
	struct str users[ABSENCE_USERS_MAX];  /* scratch */
	struct str chosen[ABSENCE_USERS_MAX]; /* scratch */
	uint32_t waits[ABSENCE_USERS_MAX];    /* scratch */
};

static void step_page(struct step *s);

struct outbox *
outbox_new(struct courier *c)
{
	struct outbox *o = mem_alloc(sizeof(*o));

	o->c = c;
	LIST_INIT(&o->steps);
	return o;
}

static void
step_free(struct step *s)
{
	LIST_REMOVE(s, entry);
	s->o->active--;
	s->t->steps--;
	buf_free(&s->names);
	free(s->lens);
	free(s);
}

void
outbox_free(struct outbox *o)
{
	if (o == NULL)
		return;
	while (!LIST_EMPTY(&o->steps))
		step_free(LIST_FIRST(&o->steps));
	free(o);
}

unsigned
outbox_active(const struct outbox *o)
{
	return o->active;
}

/* ---- how a row ends ---- */

/* Its turn is over; the next row may begin. */
static void
step_end(struct step *s)
{
	struct courier *c = s->o->c;

	tenants_wait(c->tenants, s->t, TENANT_OUTBOX);
	step_free(s);
	courier_work(c);
}

/* The row is to be read again, for it is not as it was thought to be. */
static void
step_again(struct step *s)
{
	if (s->t->outbox_last >= s->row.id)
		s->t->outbox_last = s->row.id - 1;
	step_end(s);
}

/* The same after a while, for something failed. */
static void
step_later(struct step *s)
{
	struct courier *c = s->o->c;

	if (s->t->outbox_last >= s->row.id)
		s->t->outbox_last = s->row.id - 1;
	step_free(s);
	courier_later(c);
}

static void
step_done(const struct rec_reply *reply, void *arg)
{
	struct step *s = arg;

	switch (reply->outcome) {
	case OUTCOME_OK:
		tenants_wait(s->o->c->tenants, s->t, TENANT_SEND);
		if (s->next_len == 0) {
			step_end(s);
			return;
		}
		memcpy(s->row.after, s->next, s->next_len);
		s->row.after[s->next_len] = '\0';
		s->row.after_len = s->next_len;
		courier_work(s->o->c);
		step_page(s);
		return;
	case OUTCOME_REPEATED:
		step_again(s);
		return;
	default:
		step_later(s);
	}
}

static void
step_submit(struct step *s, uint32_t n)
{
	struct outbox *o = s->o;
	struct rec_op_outbox_step op = { .outbox = s->row.id,
		.after = { s->row.after, s->row.after_len },
		.next = { s->next, s->next_len },
		.nusers = n,
		.list = o->chosen,
		.wait_ms = o->waits };
	struct buf *b = submit_begin(o->c->submit, &op.h, s->t->id);

	(void)rec_op_outbox_step_put(b, &op);
	if (submit_end(o->c->submit, step_done, s) == NULL)
		step_later(s);
}

/* ---- one page ---- */

/* The names as they were asked for, into the scratch. */
static void
step_users(struct step *s)
{
	const char *p = buf_head(&s->names);

	for (uint32_t i = 0; i < s->n; i++) {
		s->o->users[i] = (struct str){ p, s->lens[i] };
		p += s->lens[i];
	}
}

static void
step_answered(const uint32_t *states, void *arg)
{
	struct step *s = arg;

	step_users(s);
	step_submit(s,
	    absence_choose(s->o->users, states, s->n, s->o->chosen,
		s->o->waits));
}

static bool
step_member(struct str user, void *arg)
{
	struct step *s = arg;

	s->rows++;
	s->next_len = user.len < VIEW_USER_SIZE ? user.len : VIEW_USER_SIZE - 1;
	memcpy(s->next, user.p, s->next_len);
	if ((user.len == s->sender_len &&
		memcmp(user.p, s->sender, user.len) == 0) ||
	    user.len == 0 || user.len >= VIEW_USER_SIZE)
		return true;
	(void)buf_add(&s->names, user.p, user.len);
	s->lens[s->n++] = (uint8_t)user.len;
	return true;
}

static bool
step_inbox(uint64_t id, struct str user, void *arg)
{
	struct step *s = arg;

	(void)step_member(user, s);
	s->next_len = (size_t)snprintf(s->next, sizeof(s->next), "%llu",
	    (unsigned long long)id);
	return true;
}

/* The next page of those whom the row may concern.  -1 failed. */
static int
step_read(struct step *s)
{
	struct view *view = s->o->c->view;
	struct str after = { s->row.after, s->row.after_len };
	int rc;

	if (s->row.kind == WEBHOOK_NOTIFICATION)
		return view_inbox(view, s->row.room,
		    strtoull(s->row.after, NULL, 10), s->row.seq,
		    ABSENCE_USERS_MAX, step_inbox, s);
	/* Not the sender; and nobody, when the message is deleted. */
	rc = view_sender(view, s->t->id, s->row.room, s->row.seq, s->sender,
	    &s->sender_len);
	return rc == 1 ? view_members(view, s->row.room, s->row.seq, after,
			     ABSENCE_USERS_MAX, step_member, s) :
			 rc;
}

/* Reads the next page and asks for those in it. */
static void
step_page(struct step *s)
{
	struct courier *c = s->o->c;
	int rc;

	s->n = s->rows = 0;
	s->next_len = 0;
	buf_clear(&s->names);
	rc = step_read(s);
	if (rc == -1 || s->names.failed) {
		step_later(s);
		return;
	}
	if (s->rows < ABSENCE_USERS_MAX)
		s->next_len = 0;
	if (s->n == 0) {
		step_submit(s, 0);
		return;
	}
	step_users(s);
	bus_ask(c->bus, s->t->id, s->o->users, s->n, step_answered, s);
}

/* ---- rows ---- */

static bool
outbox_has(const struct outbox *o, uint64_t id)
{
	const struct step *s;

	LIST_FOREACH(s, &o->steps, entry)
		if (s->row.id == id)
			return true;
	return false;
}

bool
outbox_turn(struct outbox *o, struct tenant *t)
{
	struct view_outbox row;
	struct step *s;
	int rc;

	if (t->steps >= TENANT_STEPS_MAX)
		return false;
	do {
		rc = view_outbox(o->c->view, t->id, t->outbox_last, &row);
		if (rc == -1)
			courier_later(o->c);
		if (rc != 1)
			return false;
		t->outbox_last = row.id;
	} while (outbox_has(o, row.id));
	s = mem_alloc(sizeof(*s));
	s->o = o;
	s->t = t;
	s->row = row;
	s->lens = mem_alloc(ABSENCE_USERS_MAX);
	buf_init(&s->names, (size_t)ABSENCE_USERS_MAX * VIEW_USER_SIZE);
	LIST_INSERT_HEAD(&o->steps, s, entry);
	o->active++;
	t->steps++;
	step_page(s);
	return true;
}
