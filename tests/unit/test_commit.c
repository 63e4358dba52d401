/* SPDX-License-Identifier: MIT */
/*
 * Group commit over real sockets: what workers, the hub and tools see of the
 * writer.  Both ends run on one loop.
 */
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/link.h"
#include "common/loop.h"
#include "common/page.h"
#include "store_fixture.h"
#include "writer/commit.h"

#define RECORDS_MAX 20000

/* The other end of a link: keeps what came. */
struct end {
	struct link *link;
	struct wire_record recs[RECORDS_MAX];
	uint8_t *copies[RECORDS_MAX];
	unsigned n;
	bool closed;
};

struct world {
	struct fixture *f;
	struct event_base *base;
	struct page *page;
	struct commit *commit;
	struct link *bus; /* the writer's end */
	struct end hub, a, b;
	char room[ID_TOKEN_SIZE];
};

static int
end_record(struct link *l, const struct wire_record *rec, void *arg)
{
	struct end *e = arg;
	uint8_t *copy;

	(void)l;
	if (rec->type == REC_READY) {
		/* What the writer says first to a worker. */
		assert_int_equal(e->n, 0);
		return rec_empty_get(rec);
	}
	copy = malloc(rec->whole_len);
	assert_true(e->n < RECORDS_MAX);
	memcpy(copy, rec->whole, rec->whole_len);
	assert_true(wire_next(copy, rec->whole_len, &e->recs[e->n]) > 0);
	e->copies[e->n++] = copy;
	return 0;
}

static void
end_closed(struct link *l, int err, void *arg)
{
	struct end *e = arg;

	(void)err;
	e->closed = true;
	e->link = NULL;
	link_free(l);
}

static const struct link_ops end_ops = { .record = end_record,
	.closed = end_closed };

static void
end_free(struct end *e)
{
	link_free(e->link);
	for (unsigned i = 0; i < e->n; i++)
		free(e->copies[i]);
}

/* The writer's bus says nothing that these tests answer. */
static int
bus_record(struct link *l, const struct wire_record *rec, void *arg)
{
	(void)l;
	(void)rec;
	(void)arg;
	return -1;
}

static const struct link_ops bus_ops = { .record = bus_record };

static void
pair(int fds[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
}

static void
join(struct world *w, struct end *e, uint64_t incarnation)
{
	int fds[2];

	pair(fds);
	e->link = link_new(w->base, fds[0], 64 * 1024 * 1024, &end_ops, e);
	commit_peer(w->commit,
	    &(struct rec_peer){ .role = ROLE_WORKER,
		.slot = (uint32_t)incarnation,
		.incarnation = incarnation },
	    fds[1]);
}

static int
up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	void *f;
	int fds[2], fd;

	assert_non_null(w);
	assert_int_equal(fixture_up(&f), 0);
	w->f = f;
	fixture_begin(w->f);
	assert_int_equal(fixture_room(w->f, ROOM_GROUP, "", "alice,bob",
			     w->room),
	    OUTCOME_OK);
	fixture_commit(w->f);
	w->f->op = 0;
	w->base = loop_new();
	w->page = page_create(&fd);
	assert_non_null(w->page);
	close(fd);
	pair(fds);
	w->hub.link = link_new(w->base, fds[0], 1024 * 1024, &end_ops, &w->hub);
	w->bus = link_new(w->base, fds[1], 1024 * 1024, &bus_ops, NULL);
	w->commit = commit_new(w->base, w->f->store, w->page, w->bus);
	join(w, &w->a, 101);
	join(w, &w->b, 102);
	*state = w;
	return 0;
}

static int
down(void **state)
{
	struct world *w = *state;
	void *f = w->f;

	commit_free(w->commit);
	link_free(w->bus);
	end_free(&w->hub);
	end_free(&w->a);
	end_free(&w->b);
	page_detach(w->page);
	event_base_free(w->base);
	free(w);
	return fixture_down(&f);
}

/* Runs the loop until the end has that many records. */
static void
await(struct world *w, struct end *e, unsigned n)
{
	uint64_t until = clock_mono_ms() + 20000;

	while (e->n < n && clock_mono_ms() < until)
		event_base_loop(w->base, EVLOOP_NONBLOCK);
	assert_true(e->n >= n);
}

static uint64_t
put_send(struct world *w, struct end *e, const char *user, const char *text)
{
	struct rec_op_send op = { .h = fixture_head(w->f) };

	op.room = str(w->room);
	op.sender = str(user);
	op.client_msg_id = op.meta = str("");
	op.content = str(text);
	assert_int_equal(rec_op_send_put(link_out(e->link), &op), 0);
	link_push(e->link);
	return op.h.op;
}

static struct rec_reply
reply(struct end *e, unsigned i)
{
	struct rec_reply r;

	assert_true(i < e->n);
	assert_int_equal(e->recs[i].type, REC_REPLY);
	assert_int_equal(rec_reply_get(&e->recs[i], &r), 0);
	return r;
}

static void
test_one_batch(void **state)
{
	struct world *w = *state;
	struct rec_publish p;
	struct rec_event_message m;
	uint64_t n = store_batch(w->f->store);

	for (int i = 0; i < 20; i++) {
		put_send(w, &w->a, "alice", "from a");
		put_send(w, &w->b, "bob", "from b");
	}
	await(w, &w->a, 20);
	await(w, &w->b, 20);
	await(w, &w->hub, 40);
	/* All that had arrived went in one commit, or nearly so. */
	assert_true(store_batch(w->f->store) - n <= 2);
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(reply(&w->a, i).outcome, OUTCOME_OK);
		assert_int_equal(reply(&w->a, i).op, 2 * i + 1);
		assert_int_equal(reply(&w->b, i).op, 2 * i + 2);
	}
	for (unsigned i = 0; i < 40; i++) {
		assert_int_equal(w->hub.recs[i].type, REC_PUBLISH);
		assert_int_equal(rec_publish_get(&w->hub.recs[i], &p), 0);
		assert_int_equal(rec_event_message_get(&p.inner, &m), 0);
		assert_int_equal(m.seq, i + 1);
	}
	assert_int_equal(page_sum(w->page, COUNTER_MESSAGES_SENT), 40);
	assert_int_equal(page_sum(w->page, COUNTER_OPERATIONS), 40);
}

static void
test_many(void **state)
{
	struct world *w = *state;
	bool seen[10001] = { false };
	struct page_sums sums;

	/* More than the queue takes at once: reading stops and goes on. */
	for (int i = 0; i < 10000; i++)
		put_send(w, i % 3 == 0 ? &w->a : &w->b, "alice", "x");
	await(w, &w->a, 3334);
	await(w, &w->b, 6666);
	for (unsigned i = 0; i < w->a.n; i++)
		seen[reply(&w->a, i).seq] = true;
	for (unsigned i = 0; i < w->b.n; i++)
		seen[reply(&w->b, i).seq] = true;
	for (unsigned i = 1; i <= 10000; i++)
		assert_true(seen[i]);
	await(w, &w->hub, 10000);
	page_sums(w->page, &sums);
	assert_true(sums.h[HISTOGRAM_BATCH].count >= 10000 / 256);
	assert_true(sums.h[HISTOGRAM_BATCH].count < 1000);
	assert_int_equal(sums.h[HISTOGRAM_BATCH].sum, 10000);
	/* None was larger than a batch may be. */
	assert_int_equal(sums.h[HISTOGRAM_BATCH]
			     .bucket[page_bounds(HISTOGRAM_BATCH)],
	    0);
	assert_int_equal(sums.h[HISTOGRAM_COMMIT].count,
	    sums.h[HISTOGRAM_BATCH].count);
	assert_true(sums.h[HISTOGRAM_COMMIT].sum > 0);
	assert_int_equal(sums.c[GAUGE_WRITER_QUEUE], 0);
	assert_int_equal(sums.c[GAUGE_WRITER_QUEUE_BYTES], 0);
}

static void
test_tool(void **state)
{
	struct world *w = *state;
	struct rec_op_admin op = { .h = fixture_head(w->f) };
	struct rec_control c;
	struct rec_reply r;
	struct wire_record rec;

	op.h.tenant = 0;
	op.a = op.b = str("");
	assert_int_equal(rec_op_admin_put(&w->f->rec, REC_OP_TENANT_LIST, &op),
	    0);
	assert_true(wire_next((uint8_t *)buf_head(&w->f->rec), w->f->rec.len,
			&rec) > 0);
	assert_int_equal(commit_control(w->commit, 4711, &rec), 0);
	await(w, &w->hub, 1);
	assert_int_equal(w->hub.recs[0].type, REC_CONTROL_REPLY);
	assert_int_equal(rec_control_get(&w->hub.recs[0], &c), 0);
	assert_int_equal(c.client, 4711);
	assert_int_equal(rec_reply_get(&c.inner, &r), 0);
	assert_int_equal(r.op, op.h.op);
	assert_int_equal(r.outcome, OUTCOME_OK);
	assert_non_null(memmem(r.text.p, r.text.len, "Acme", 4));
	assert_int_equal(rec_empty_put(&w->f->rec, REC_HEARTBEAT), 0);
	rec.type = REC_HEARTBEAT;
	assert_int_equal(commit_control(w->commit, 1, &rec), -1);
}

static void
test_bad_record(void **state)
{
	struct world *w = *state;
	uint64_t until = clock_mono_ms() + 20000;

	assert_int_equal(rec_empty_put(link_out(w->a.link), REC_HEARTBEAT), 0);
	link_push(w->a.link);
	while (!w->a.closed && clock_mono_ms() < until)
		event_base_loop(w->base, EVLOOP_NONBLOCK);
	assert_true(w->a.closed);
	/* The other one is served on. */
	put_send(w, &w->b, "bob", "still here");
	await(w, &w->b, 1);
	assert_int_equal(reply(&w->b, 0).outcome, OUTCOME_OK);
}

/* A worker that dies with work on the way: it is done, for its client may
 * have been told so by nobody, and its receipts go. */
static void
test_dead_worker(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < 50; i++)
		put_send(w, &w->a, "alice", "last words");
	assert_int_equal(link_flush(w->a.link), 0);
	link_free(w->a.link);
	w->a.link = NULL;
	await(w, &w->hub, 50);
	assert_int_equal(fixture_query(w->f, "SELECT count(*) FROM message"),
	    50);
	for (unsigned i = 0; i < 300; i++) {
		put_send(w, &w->b, "bob", "x");
		await(w, &w->b, i + 1);
	}
	assert_true(fixture_query(w->f, "SELECT min(n) FROM batch") >
	    (int64_t)store_batch(w->f->store) - 305);
}

static void
test_hub_does_not_read(void **state)
{
	struct world *w = *state;
	char *big = malloc(16001);
	struct rec_publish p;
	bool lost = false;

	memset(big, 'z', 16000);
	big[16000] = '\0';
	link_pause(w->hub.link, true);
	for (unsigned i = 0; i < 200; i++) {
		put_send(w, &w->a, "alice", big);
		await(w, &w->a, i + 1);
		assert_int_equal(reply(&w->a, i).outcome, OUTCOME_OK);
	}
	assert_true(link_queued(w->bus) <= 1024 * 1024);
	link_pause(w->hub.link, false);
	put_send(w, &w->a, "alice", "end");
	await(w, &w->a, 201);
	for (unsigned i = 0; !lost; i++) {
		await(w, &w->hub, i + 1);
		assert_int_equal(rec_publish_get(&w->hub.recs[i], &p), 0);
		lost = p.inner.type == REC_LOST;
	}
	assert_int_equal(p.nkeys, 0);
	free(big);
}

static void
test_full_disk(void **state)
{
	struct world *w = *state;
	struct rlimit old, tight;
	struct stat st;
	char wal[sizeof(w->f->dsn.path) + 8];
	uint64_t until = clock_mono_ms() + 20000;

	snprintf(wal, sizeof(wal), "%s-wal", w->f->dsn.path);
	assert_int_equal(stat(wal, &st), 0);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	tight = old;
	tight.rlim_cur = (rlim_t)st.st_size + 100;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
	put_send(w, &w->a, "alice", "no room");
	put_send(w, &w->b, "bob", "no room");
	await(w, &w->a, 1);
	await(w, &w->b, 1);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(reply(&w->a, 0).outcome, OUTCOME_STORAGE);
	assert_int_equal(reply(&w->b, 0).outcome, OUTCOME_STORAGE);
	assert_int_equal(atomic_load(&w->page->db_writable), 0);
	assert_int_equal(w->hub.n, 0);
	/* It finds out by itself that there is room again. */
	while (atomic_load(&w->page->db_writable) == 0 &&
	    clock_mono_ms() < until)
		event_base_loop(w->base, EVLOOP_ONCE);
	assert_int_equal(atomic_load(&w->page->db_writable), 1);
	put_send(w, &w->a, "alice", "room");
	await(w, &w->a, 2);
	assert_int_equal(reply(&w->a, 1).outcome, OUTCOME_OK);
	assert_int_equal(reply(&w->a, 1).seq, 1);
}

/* Another room, with 5,000 messages; its deletion is on its way. */
static void
delete_big_room(struct world *w)
{
	struct rec_op_room_delete op;
	char big[ID_TOKEN_SIZE];

	/* Beyond the numbers that have receipts. */
	w->f->op = 100;
	fixture_begin(w->f);
	assert_int_equal(fixture_room(w->f, ROOM_GROUP, "", "alice", big),
	    OUTCOME_OK);
	for (int i = 0; i < 5000; i++)
		assert_int_equal(fixture_send(w->f, big, "alice", "", "big"),
		    OUTCOME_OK);
	fixture_commit(w->f);
	op = (struct rec_op_room_delete){ .h = fixture_head(w->f) };
	op.room = str(big);
	op.actor = str("");
	assert_int_equal(rec_op_room_delete_put(link_out(w->b.link), &op), 0);
	link_push(w->b.link);
}

static int64_t
big_messages(struct world *w)
{
	return fixture_query(w->f,
	    "SELECT count(*) FROM message WHERE content = 'big'");
}

/* What is deleted goes by itself while others are served, and also when
 * nobody asks for anything. */
static void
test_removal(void **state)
{
	uint64_t until = clock_mono_ms() + 20000;
	struct world *w = *state;
	unsigned n = 0;

	delete_big_room(w);
	await(w, &w->b, 1);
	assert_int_equal(reply(&w->b, 0).outcome, OUTCOME_OK);
	while (n < 20) {
		put_send(w, &w->a, "alice", "meanwhile");
		await(w, &w->a, ++n);
		assert_int_equal(reply(&w->a, n - 1).outcome, OUTCOME_OK);
	}
	while (store_sweep_pending(w->f->store) && clock_mono_ms() < until)
		event_base_loop(w->base, EVLOOP_ONCE);
	assert_false(store_sweep_pending(w->f->store));
	assert_int_equal(big_messages(w), 0);
	assert_int_equal(fixture_query(w->f, "SELECT count(*) FROM message"),
	    20);
}

/* A disk that takes nothing puts it off. */
static void
test_removal_waits(void **state)
{
	uint64_t until = clock_mono_ms() + 20000;
	struct world *w = *state;
	struct rlimit old, tight;
	int64_t left;

	delete_big_room(w);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	tight = old;
	tight.rlim_cur = 100;
	await(w, &w->b, 1);
	left = big_messages(w);
	assert_true(left > 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
	for (int i = 0; i < 100; i++)
		event_base_loop(w->base, EVLOOP_NONBLOCK);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(big_messages(w), left);
	while (store_sweep_pending(w->f->store) && clock_mono_ms() < until)
		event_base_loop(w->base, EVLOOP_ONCE);
	assert_int_equal(big_messages(w), 0);
	put_send(w, &w->a, "alice", "after");
	await(w, &w->a, 1);
	assert_int_equal(reply(&w->a, 0).outcome, OUTCOME_OK);
}

static void
test_drain(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < 1000; i++)
		put_send(w, &w->a, "alice", "before the end");
	assert_int_equal(link_flush(w->a.link), 0);
	assert_int_equal(link_queued(w->a.link), 0);
	commit_drain(w->commit);
	assert_int_equal(fixture_query(w->f, "SELECT count(*) FROM message"),
	    1000);
	await(w, &w->a, 1000);
	assert_int_equal(reply(&w->a, 999).seq, 1000);
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, up, down)
	const struct CMUnitTest tests[] = {
		TEST(test_one_batch),
		TEST(test_many),
		TEST(test_tool),
		TEST(test_bad_record),
		TEST(test_dead_worker),
		TEST(test_hub_does_not_read),
		TEST(test_full_disk),
		TEST(test_removal),
		TEST(test_removal_waits),
		TEST(test_drain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
