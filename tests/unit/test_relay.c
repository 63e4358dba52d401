/* SPDX-License-Identifier: MIT */
/* The hub's traffic over real sockets, without processes: who gets which
 * record, in which order, and what a full queue does. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/config.h"
#include "common/link.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/page.h"
#include "common/records.h"
#include "master/child.h"
#include "master/hub.h"
#include "master/master.h"
#include "master/presence.h"
#include "master/relay.h"
#include "master/relay_presence.h"

#define WORKERS 3
#define SEEN_MAX 250000
#define GRACE_MS 50

/* The far end of a child's bus. */
struct far {
	struct link *link;
	uint8_t types[SEEN_MAX];   /* of what came, in order */
	uint64_t values[SEEN_MAX]; /* seq, serial or grant of it */
	unsigned n;
	int peer; /* descriptor that came with the last PEER */
};

struct fixture {
	struct master m;
	struct config config;
	struct child *children[WORKERS + 1]; /* the writer last */
	struct far far[WORKERS + 1];
};

static int
far_record(struct link *l, const struct wire_record *rec, void *arg)
{
	struct far *f = arg;
	struct rec_event_message e;
	struct rec_attached a;
	struct rec_presence presence;
	struct rec_peer p;
	uint64_t *v = &f->values[f->n];

	assert_true(f->n < SEEN_MAX);
	f->types[f->n++] = rec->type;
	switch (rec->type) {
	case REC_EVENT_MESSAGE:
		assert_int_equal(rec_event_message_get(rec, &e), 0);
		*v = e.seq;
		break;
	case REC_INTEREST_OK:
		assert_int_equal(rec_interest_ok_get(rec, v), 0);
		break;
	case REC_ATTACHED:
		assert_int_equal(rec_attached_get(rec, &a), 0);
		*v = a.granted;
		break;
	case REC_PRESENCE:
		assert_int_equal(rec_presence_get(rec, &presence), 0);
		*v = presence.online;
		break;
	case REC_PEER:
		assert_int_equal(rec_peer_get(rec, &p), 0);
		*v = p.incarnation;
		f->peer = link_take_fd(l);
		break;
	default:
		break;
	}
	return 0;
}

static const struct link_ops far_ops = { .record = far_record };

static int
near_record(struct link *l, const struct wire_record *rec, void *arg)
{
	(void)l;
	return relay_record(arg, rec);
}

static void
near_idle(struct link *l, void *arg)
{
	(void)l;
	relay_idle(arg);
}

static void
near_closed(struct link *l, int err, void *arg)
{
	struct child *c = arg;

	(void)err;
	link_free(l);
	c->link = NULL;
}

static const struct link_ops near_ops = { near_record, near_idle, near_closed };

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	log_init("test", -1);
	log_set_level(LOG_LEVEL_ERROR);
	f->config.workers = WORKERS;
	f->config.ws_max_per_user = 2;
	f->m.config = &f->config;
	f->m.base = loop_new();
	f->m.page = page_create(&f->m.page_fd);
	assert_non_null(f->m.page);
	f->m.hub = hub_new();
	f->m.presence = presence_new(relay_presence, &f->m, GRACE_MS);
	for (unsigned i = 0; i <= WORKERS; i++) {
		struct child *c = child_new(&f->m,
		    i < WORKERS ? ROLE_WORKER : ROLE_WRITER, i % WORKERS,
		    i % WORKERS);
		int fds[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
		c->state = CHILD_READY;
		c->incarnation = 100 + i;
		c->link = link_new(f->m.base, fds[0], RELAY_QUEUE_MAX,
		    &near_ops, c);
		f->children[i] = c;
		f->far[i].peer = -1;
		f->far[i].link = link_new(f->m.base, fds[1], 64 * 1024 * 1024,
		    &far_ops, &f->far[i]);
	}
	for (int i = 0; i < WORKERS; i++)
		f->m.workers[i] = f->children[i];
	f->m.writer = f->children[WORKERS];
	f->m.courier = child_new(&f->m, ROLE_COURIER, 0, 0);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i <= WORKERS; i++) {
		link_free(f->far[i].link);
		child_free(f->children[i]);
	}
	child_free(f->m.courier);
	if (f->m.presence_timer != NULL)
		event_free(f->m.presence_timer);
	presence_free(f->m.presence);
	hub_free(f->m.hub);
	page_detach(f->m.page);
	close(f->m.page_fd);
	event_base_free(f->m.base);
	free(f);
	return 0;
}

static void
turn(struct fixture *f)
{
	for (int i = 0; i < 20; i++)
		event_base_loop(f->m.base, EVLOOP_NONBLOCK);
}

/* Turns the loop until a child has nothing unsent. */
static void
settle(struct fixture *f)
{
	size_t queued;

	do {
		turn(f);
		queued = 0;
		for (unsigned i = 0; i <= WORKERS; i++)
			if (f->children[i]->link != NULL)
				queued += link_queued(f->children[i]->link) +
				    link_queued(f->far[i].link);
	} while (queued > 0);
	turn(f);
}

static void
publish(struct far *from, uint64_t key, uint64_t seq, size_t size)
{
	struct rec_event_message e = { .n = 1,
		.tenant = 1,
		.room = 1,
		.seq = seq,
		.sender = { "alice", 5 } };
	struct buf *out = link_out(from->link);
	char *text = calloc(1, size + 1);
	size_t at = rec_publish_begin(out, &key, key != 0);

	assert_non_null(text);
	e.text.p = text;
	e.text.len = size;
	assert_int_equal(rec_event_message_put(out, &e), 0);
	assert_int_equal(rec_publish_end(out, at), 0);
	free(text);
	link_push(from->link);
}

static void
interest(struct far *from, uint64_t serial, uint64_t add, uint64_t del)
{
	struct rec_interest r = { .serial = serial,
		.nadd = add != 0,
		.ndel = del != 0,
		.add = &add,
		.del = &del };

	assert_int_equal(rec_interest_put(link_out(from->link), &r), 0);
	link_push(from->link);
}

static void
attach(struct far *from, const char *user, bool on)
{
	struct rec_attach a = { .conn = 1,
		.tenant = 1,
		.user = { user, strlen(user) } };
	struct buf *out = link_out(from->link);

	assert_int_equal(on ? rec_attach_put(out, &a) : rec_detach_put(out, &a),
	    0);
	link_push(from->link);
}

static void
assert_seen(const struct far *f, unsigned i, uint8_t type, uint64_t value)
{
	assert_true(i < f->n);
	assert_int_equal(f->types[i], type);
	assert_int_equal(f->values[i], value);
}

static void
test_only_who_wants_it(void **state)
{
	struct fixture *f = *state;
	struct far *writer = &f->far[WORKERS];

	interest(&f->far[0], 1, 77, 0);
	interest(&f->far[2], 9, 78, 0);
	settle(f);
	assert_seen(&f->far[0], 0, REC_INTEREST_OK, 1);
	assert_seen(&f->far[2], 0, REC_INTEREST_OK, 9);
	publish(writer, 77, 1, 100);
	publish(writer, 78, 2, 100);
	publish(writer, 79, 3, 100);
	publish(writer, 0, 4, 100);
	/* A worker's own record comes back to it too. */
	publish(&f->far[0], 77, 5, 10);
	settle(f);
	assert_int_equal(f->far[0].n, 4);
	assert_seen(&f->far[0], f->far[0].values[1] == 5 ? 2 : 1,
	    REC_EVENT_MESSAGE, 1);
	assert_int_equal(f->far[1].n, 1);
	assert_seen(&f->far[1], 0, REC_EVENT_MESSAGE, 4);
	assert_int_equal(f->far[2].n, 3);
	assert_seen(&f->far[2], 1, REC_EVENT_MESSAGE, 2);
	assert_seen(&f->far[2], 2, REC_EVENT_MESSAGE, 4);
	assert_int_equal(writer->n, 0);
	assert_int_equal(page_sum(f->m.page, COUNTER_BUS_RECORDS), 6);
}

/* A process that has not said what it is, or has no configuration yet, is
 * sent nothing that it could not understand. */
static void
test_nothing_before_hello(void **state)
{
	struct fixture *f = *state;

	f->children[1]->state = CHILD_STARTED;
	publish(&f->far[WORKERS], 0, 1, 100);
	relay_lost(f->children[1]);
	settle(f);
	assert_int_equal(f->far[0].n, 1);
	assert_int_equal(f->far[1].n, 0);
	f->children[1]->state = CHILD_LIVE;
	publish(&f->far[WORKERS], 0, 2, 100);
	settle(f);
	relay_lost(f->children[1]);
	settle(f);
	assert_int_equal(f->far[1].n, 2);
	assert_seen(&f->far[1], 0, REC_EVENT_MESSAGE, 2);
	assert_int_equal(f->far[1].types[1], REC_LOST);
}

static void
test_interest_is_confirmed_in_the_stream(void **state)
{
	struct fixture *f = *state;
	struct far *writer = &f->far[WORKERS], *w = &f->far[1];
	unsigned confirmed = 0;

	for (uint64_t seq = 1; seq <= 500; seq++) {
		publish(writer, 5, seq, 200);
		if (seq == 100)
			interest(w, 1, 5, 0);
		if (seq == 300)
			interest(w, 2, 0, 5);
		turn(f);
	}
	settle(f);
	assert_true(w->n > 2);
	assert_seen(w, 0, REC_INTEREST_OK, 1);
	/* From there on without a gap up to the second answer. */
	for (unsigned i = 1; i < w->n; i++) {
		if (w->types[i] == REC_INTEREST_OK)
			confirmed = i;
		else if (i > 1)
			assert_seen(w, i, REC_EVENT_MESSAGE,
			    w->values[i - 1] + 1);
	}
	assert_int_equal(confirmed, w->n - 1);
	assert_seen(w, confirmed, REC_INTEREST_OK, 2);
}

static void
test_attached_user_gets_his_records(void **state)
{
	struct fixture *f = *state;
	struct far *writer = &f->far[WORKERS];
	uint64_t key = id_user_key(1, "alice", 5);

	attach(&f->far[0], "alice", true);
	settle(f);
	attach(&f->far[1], "alice", true);
	settle(f);
	attach(&f->far[2], "alice", true);
	settle(f);
	assert_seen(&f->far[0], 0, REC_ATTACHED, true);
	assert_seen(&f->far[1], 0, REC_ATTACHED, true);
	assert_seen(&f->far[2], 0, REC_ATTACHED, false);
	publish(writer, key, 1, 10);
	settle(f);
	assert_int_equal(f->far[0].n, 2);
	assert_int_equal(f->far[1].n, 2);
	assert_int_equal(f->far[2].n, 1);
	attach(&f->far[0], "alice", false);
	settle(f);
	publish(writer, key, 2, 10);
	settle(f);
	assert_int_equal(f->far[0].n, 2);
	assert_int_equal(f->far[1].n, 3);
	/* A dead worker's connections count no more. */
	relay_forget(f->children[1]);
	attach(&f->far[2], "alice", true);
	attach(&f->far[2], "alice", true);
	settle(f);
	assert_seen(&f->far[2], 1, REC_ATTACHED, true);
	assert_seen(&f->far[2], 2, REC_ATTACHED, true);
}

static void
test_full_queue_says_lost_once(void **state)
{
	struct fixture *f = *state;
	struct far *writer = &f->far[WORKERS], *slow = &f->far[0];
	unsigned lost = 0, confirmed = 0;

	interest(slow, 1, 5, 0);
	interest(&f->far[1], 1, 5, 0);
	settle(f);
	slow->n = f->far[1].n = 0;
	link_pause(slow->link, true);
	interest(slow, 2, 6, 0);
	for (uint64_t seq = 1; seq <= 4000; seq++) {
		publish(writer, 5, seq, 4000);
		if (seq % 20 == 0)
			turn(f);
		assert_true(link_queued(f->children[0]->link) <=
		    RELAY_QUEUE_MAX);
	}
	relay_measure(&f->m);
	assert_true(link_queued(f->children[0]->link) > 0);
	assert_int_equal(page_get(f->m.page, PAGE_SLOT_WORKER0,
			     GAUGE_BUS_QUEUE_BYTES),
	    link_queued(f->children[0]->link));
	assert_int_equal(page_get(f->m.page, PAGE_SLOT_WORKER0 + 1,
			     GAUGE_BUS_QUEUE_BYTES),
	    0);
	/* The other worker never noticed. */
	assert_int_equal(f->far[1].n, 4000);
	assert_seen(&f->far[1], 3999, REC_EVENT_MESSAGE, 4000);
	assert_true(page_sum(f->m.page, COUNTER_BUS_LOST) >= 1);
	link_pause(slow->link, false);
	settle(f);
	for (unsigned i = 0; i < slow->n; i++) {
		confirmed += slow->types[i] == REC_INTEREST_OK;
		if (slow->types[i] == REC_LOST) {
			lost++;
			continue;
		}
		/* A gap only where it was told. */
		if (i > 0 && slow->types[i] == REC_EVENT_MESSAGE &&
		    slow->types[i - 1] == REC_EVENT_MESSAGE)
			assert_int_equal(slow->values[i],
			    slow->values[i - 1] + 1);
	}
	relay_measure(&f->m);
	assert_int_equal(page_sum(f->m.page, GAUGE_BUS_QUEUE_BYTES), 0);
	assert_int_equal(lost, 1);
	assert_int_equal(confirmed, 1);
	assert_seen(slow, slow->n - 1, REC_EVENT_MESSAGE, 4000);
}

static void
attach_many(struct fixture *f, unsigned from, unsigned n)
{
	for (unsigned i = from; i < from + n; i++) {
		char name[20];

		(void)snprintf(name, sizeof(name), "somebody-%u", i);
		assert_true(presence_attach(f->m.presence, 1, 1,
		    (struct str){ name, strlen(name) }, 0));
	}
}

/* How many records of that type came; *last = the index behind the last. */
static unsigned
seen(const struct far *f, uint8_t type, unsigned *last)
{
	unsigned n = 0;

	for (unsigned i = 0; i < f->n; i++) {
		if (f->types[i] != type)
			continue;
		n++;
		*last = i + 1;
	}
	return n;
}

/* The whole set comes in pieces, before the first answer; what changes
 * meanwhile is not lost. */
static void
test_new_worker_is_told_of_100000(void **state)
{
	struct fixture *f = *state;
	struct far *w = &f->far[0];
	unsigned last = 0, answer = 0;

	attach_many(f, 0, 100000);
	relay_greet(f->children[0]);
	attach(w, "alice", true);
	turn(f);
	attach_many(f, 100000, 1000);
	while (seen(w, REC_PRESENCE, &last) < 101001) {
		turn(f);
		assert_true(link_queued(f->children[0]->link) <
		    RELAY_QUEUE_MAX / 2);
	}
	assert_int_equal(w->types[0], REC_PRESENCE_RESET);
	assert_int_equal(seen(w, REC_ATTACHED, &answer), 1);
	/* 100,000 and herself; the others came when they came. */
	assert_true(answer > 100000);
	settle(f);
	assert_int_equal(seen(w, REC_PRESENCE, &last), 101001);
	assert_int_equal(seen(w, REC_LOST, &last), 0);
}

/* A queue that is dropped takes no presence along. */
static void
test_full_queue_loses_no_presence(void **state)
{
	struct fixture *f = *state;
	struct far *writer = &f->far[WORKERS], *slow = &f->far[0];
	unsigned last = 0, changes = 0;

	relay_greet(f->children[0]);
	relay_greet(f->children[2]);
	interest(slow, 1, 5, 0);
	settle(f);
	link_pause(slow->link, true);
	for (uint64_t seq = 1; seq <= 4000; seq++) {
		publish(writer, 5, seq, 4000);
		if (seq % 20 == 0) {
			attach_many(f, (unsigned)seq, 20);
			attach(&f->far[1], "alice", seq % 40 != 0);
			turn(f);
		}
		assert_true(link_queued(f->children[0]->link) <=
		    RELAY_QUEUE_MAX);
	}
	link_pause(slow->link, false);
	while (seen(&f->far[2], REC_PRESENCE, &last) < 4001 ||
	    seen(slow, REC_PRESENCE, &changes) < 4001)
		turn(f);
	assert_true(seen(slow, REC_LOST, &last) >= 1);
	assert_true(page_sum(f->m.page, COUNTER_BUS_LOST) >= 1);
}

/* The timer of the real clock: offline when the grace is over. */
static void
test_grace_ends_by_itself(void **state)
{
	struct fixture *f = *state;
	struct far *w = &f->far[0];
	uint64_t began;

	relay_greet(f->children[0]);
	attach(&f->far[1], "alice", true);
	attach(&f->far[2], "bob", true);
	settle(f);
	assert_seen(w, 1, REC_PRESENCE, true);
	assert_seen(w, 2, REC_PRESENCE, true);
	began = clock_mono_ms();
	attach(&f->far[1], "alice", false);
	relay_forget(f->children[2]);
	while (w->n < 5)
		assert_int_equal(event_base_loop(f->m.base, EVLOOP_ONCE), 0);
	assert_true(clock_mono_ms() - began >= GRACE_MS);
	assert_seen(w, 3, REC_PRESENCE, false);
	assert_seen(w, 4, REC_PRESENCE, false);
	assert_int_equal(presence_users(f->m.presence), 0);
}

static void
test_peers_are_linked(void **state)
{
	struct fixture *f = *state;
	char c = 0;

	relay_peers(f->m.writer, f->children[2]);
	settle(f);
	assert_seen(&f->far[2], 0, REC_PEER, 100 + WORKERS);
	assert_seen(&f->far[WORKERS], 0, REC_PEER, 102);
	assert_int_equal(write(f->far[2].peer, "x", 1), 1);
	assert_int_equal(read(f->far[WORKERS].peer, &c, 1), 1);
	assert_int_equal(c, 'x');
	close(f->far[2].peer);
	close(f->far[WORKERS].peer);
}

static void
test_bad_records_end_the_bus(void **state)
{
	struct fixture *f = *state;
	uint64_t zero = 0;
	struct rec_interest r = { .serial = 1, .nadd = 1, .add = &zero };

	/* No key is 0; the writer has no interest; a reply is no event. */
	assert_int_equal(rec_interest_put(link_out(f->far[0].link), &r), 0);
	link_push(f->far[0].link);
	interest(&f->far[WORKERS], 1, 5, 0);
	turn(f);
	assert_null(f->children[0]->link);
	assert_null(f->children[WORKERS]->link);
	assert_non_null(f->children[1]->link);
	/* Forwarding to one without a bus goes on for the others. */
	publish(&f->far[1], 0, 1, 10);
	turn(f);
	assert_int_equal(f->far[2].n, 1);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_only_who_wants_it),
		TEST(test_nothing_before_hello),
		TEST(test_interest_is_confirmed_in_the_stream),
		TEST(test_attached_user_gets_his_records),
		TEST(test_full_queue_says_lost_once),
		TEST(test_new_worker_is_told_of_100000),
		TEST(test_full_queue_loses_no_presence),
		TEST(test_grace_ends_by_itself),
		TEST(test_peers_are_linked),
		TEST(test_bad_records_end_the_bus),
	};

	return cmocka_run_group_tests_name("relay", tests, NULL, NULL);
}
