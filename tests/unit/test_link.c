/* SPDX-License-Identifier: MIT */
/* Streams of records: whole, in order, with their descriptors, whatever the
 * sizes and however the socket splits them; and safe to free anywhere. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/link.h"
#include "common/loop.h"
#include "common/records.h"
#include "common/wire.h"

#define QUEUE_MAX (4U * 1024 * 1024)
#define TYPE_NUMBER 200
#define TYPE_OTHER 201

/* One end, and what it has seen. */
struct end {
	struct link *link;
	uint64_t next; /* number expected in the next record */
	unsigned records;
	unsigned idles;
	unsigned closed;
	int err;
	size_t bytes;
	int fd;           /* last descriptor taken */
	uint64_t free_at; /* frees itself within this record */
	uint64_t pause_at;
	uint64_t refuse_at;
};

struct pair {
	struct event_base *base;
	struct end a, b;
};

/* A record with its number, filled up to size bytes of payload. */
static void
put(struct link *l, uint8_t type, uint64_t number, size_t size)
{
	struct buf *out = link_out(l);
	size_t at = wire_begin(out, type);
	char *fill = calloc(1, size + 1);

	assert_non_null(fill);
	wire_put_u64(out, number);
	memset(fill, 'a' + (int)(number % 26), size);
	wire_put_str(out, fill, size);
	assert_int_equal(wire_end(out, at), 0);
	free(fill);
	link_push(l);
}

static int
on_record(struct link *l, const struct wire_record *rec, void *arg)
{
	struct end *e = arg;
	struct wire_reader r;
	const char *text;
	uint64_t number;
	size_t len;
	int fd;

	wire_reader_init(&r, rec);
	number = wire_get_u64(&r);
	text = wire_get_str(&r, &len);
	assert_true(wire_reader_done(&r));
	for (size_t i = 0; i < len; i++)
		assert_int_equal(text[i], 'a' + (int)(number % 26));
	assert_int_equal(number, e->next);
	e->next++;
	e->records++;
	e->bytes += rec->whole_len;
	if (rec->type == TYPE_OTHER && (fd = link_take_fd(l)) != -1) {
		if (e->fd != -1)
			close(e->fd);
		e->fd = fd;
	}
	if (e->free_at == number) {
		link_free(l);
		e->link = NULL;
	} else if (e->pause_at == number)
		link_pause(l, true);
	return e->refuse_at == number ? -1 : 0;
}

static void
on_idle(struct link *l, void *arg)
{
	struct end *e = arg;

	(void)l;
	e->idles++;
}

static void
on_closed(struct link *l, int err, void *arg)
{
	struct end *e = arg;

	e->closed++;
	e->err = err;
	link_free(l);
	e->link = NULL;
}

static const struct link_ops ops = { on_record, on_idle, on_closed };

static void
end_init(struct end *e, struct event_base *base, int fd)
{
	memset(e, 0, sizeof(*e));
	e->fd = -1;
	e->free_at = e->pause_at = e->refuse_at = UINT64_MAX;
	e->link = link_new(base, fd, QUEUE_MAX, &ops, e);
}

static int
setup(void **state)
{
	struct pair *p = calloc(1, sizeof(*p));
	int fds[2];

	assert_non_null(p);
	p->base = loop_new();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	end_init(&p->a, p->base, fds[0]);
	end_init(&p->b, p->base, fds[1]);
	*state = p;
	return 0;
}

static int
teardown(void **state)
{
	struct pair *p = *state;

	link_free(p->a.link);
	link_free(p->b.link);
	if (p->a.fd != -1)
		close(p->a.fd);
	if (p->b.fd != -1)
		close(p->b.fd);
	event_base_free(p->base);
	free(p);
	return 0;
}

/* Runs the loop until nothing more happens. */
static void
settle(struct pair *p)
{
	for (;;) {
		unsigned before = p->a.records + p->b.records + p->a.closed +
		    p->b.closed;
		size_t queued = p->a.link ? link_queued(p->a.link) : 0;

		for (int i = 0; i < 3; i++)
			event_base_loop(p->base, EVLOOP_NONBLOCK);
		if (before ==
			p->a.records + p->b.records + p->a.closed +
			    p->b.closed &&
		    queued == (p->a.link ? link_queued(p->a.link) : 0))
			return;
	}
}

static void
test_sizes(void **state)
{
	static const size_t sizes[] = { 0, 1, 100, 5000, 65536, 131072, 200000,
		700000, WIRE_RECORD_MAX - 100 };
	struct pair *p = *state;
	uint64_t n = 0;

	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
			put(p->a.link, TYPE_NUMBER, n++, sizes[i]);
		settle(p);
		assert_int_equal(p->b.records, n);
		assert_int_equal(link_queued(p->a.link), 0);
	}
	assert_int_equal(p->b.closed, 0);
}

static void
test_many_small_share_a_write(void **state)
{
	struct pair *p = *state;

	for (uint64_t n = 0; n < 1000; n++)
		put(p->a.link, TYPE_NUMBER, n, 20);
	settle(p);
	assert_int_equal(p->b.records, 1000);
	assert_int_equal(p->b.idles, 1);
}

static void
test_both_ways(void **state)
{
	struct pair *p = *state;

	for (uint64_t n = 0; n < 500; n++) {
		put(p->a.link, TYPE_NUMBER, n, n * 7);
		put(p->b.link, TYPE_NUMBER, n, n * 5);
	}
	settle(p);
	assert_int_equal(p->a.records, 500);
	assert_int_equal(p->b.records, 500);
}

static void
test_byte_by_byte(void **state)
{
	struct pair *p = *state;
	struct buf b;
	int fds[2];
	struct end e;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	end_init(&e, p->base, fds[0]);
	put(p->a.link, TYPE_NUMBER, 0, 30);
	put(p->a.link, TYPE_NUMBER, 1, 0);
	b = *link_out(p->a.link);
	for (size_t i = 0; i < b.len; i++) {
		assert_int_equal(e.records, i < 48 ? 0 : 1);
		assert_int_equal(write(fds[1], buf_head(&b) + i, 1), 1);
		event_base_loop(p->base, EVLOOP_NONBLOCK);
	}
	assert_int_equal(e.records, 2);
	/* Half a record, then the end: no record, a plain close. */
	assert_int_equal(write(fds[1], buf_head(&b), 20), 20);
	close(fds[1]);
	for (int i = 0; i < 3; i++)
		event_base_loop(p->base, EVLOOP_NONBLOCK);
	assert_int_equal(e.records, 2);
	assert_int_equal(e.closed, 1);
	assert_int_equal(e.err, 0);
}

static void
test_descriptor_comes_with_its_record(void **state)
{
	struct pair *p = *state;
	char got[8] = "";
	int pipes[2], other[2];

	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(pipe(other), 0);
	/* Enough in front that the socket is full before it. */
	for (uint64_t n = 0; n < 20; n++)
		put(p->a.link, TYPE_NUMBER, n, 50000);
	put(p->a.link, TYPE_OTHER, 20, 10);
	link_send_fd(p->a.link, pipes[1]);
	for (uint64_t n = 21; n < 40; n++)
		put(p->a.link, TYPE_NUMBER, n, 50000);
	put(p->a.link, TYPE_OTHER, 40, 10);
	link_send_fd(p->a.link, other[1]);
	p->b.pause_at = 20;
	settle(p);
	assert_int_equal(p->b.records, 21);
	assert_int_not_equal(p->b.fd, -1);
	assert_int_equal(fcntl(p->b.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(write(p->b.fd, "first", 5), 5);
	assert_int_equal(read(pipes[0], got, 5), 5);
	assert_string_equal(got, "first");
	link_pause(p->b.link, false);
	settle(p);
	assert_int_equal(p->b.records, 41);
	assert_int_equal(write(p->b.fd, "other", 5), 5);
	assert_int_equal(read(other[0], got, 5), 5);
	assert_string_equal(got, "other");
	for (int i = 0; i < 2; i++) {
		close(pipes[i]);
		close(other[i]);
	}
}

static int
open_descriptors(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

static void
test_unasked_descriptors_are_bounded(void **state)
{
	struct pair *p = *state;
	int null = open("/dev/null", O_RDONLY), before;

	assert_int_not_equal(null, -1);
	before = open_descriptors();
	for (uint64_t n = 0; n < 40; n++) {
		put(p->a.link, TYPE_NUMBER, n, 1);
		link_send_fd(p->a.link, null);
	}
	assert_int_equal(open_descriptors(), before + 40);
	settle(p);
	assert_int_equal(p->b.records, 40);
	/* Eight are kept, the others are closed again. */
	assert_int_equal(open_descriptors(), before + 8);
	link_free(p->b.link);
	p->b.link = NULL;
	assert_int_equal(open_descriptors(), before - 1);
	close(null);
}

static bool
drop_numbers(const struct wire_record *rec)
{
	return rec->type == TYPE_NUMBER;
}

static void
test_drop_keeps_the_record_begun(void **state)
{
	struct pair *p = *state;

	for (uint64_t n = 0; n < 20; n++)
		put(p->a.link, TYPE_NUMBER, n, 100000);
	assert_int_equal(link_flush(p->a.link), 0);
	assert_true(link_queued(p->a.link) > 0);
	link_drop_queue(p->a.link);
	/* The reader finds whole records only, then the one that follows. */
	settle(p);
	assert_int_equal(link_queued(p->a.link), 0);
	assert_in_range(p->b.records, 1, 19);
	put(p->a.link, TYPE_NUMBER, p->b.next, 5);
	settle(p);
	assert_int_equal(p->b.closed, 0);
	assert_int_equal(p->b.records, p->b.next);
}

static void
test_drop_by_type(void **state)
{
	struct pair *p = *state;
	int pipes[2];
	char got[3] = "";

	assert_int_equal(pipe(pipes), 0);
	put(p->a.link, TYPE_NUMBER, 100, 50);
	put(p->a.link, TYPE_OTHER, 0, 50);
	put(p->a.link, TYPE_NUMBER, 101, 50);
	link_send_fd(p->a.link, pipes[0]);
	put(p->a.link, TYPE_OTHER, 1, 50);
	link_send_fd(p->a.link, pipes[1]);
	put(p->a.link, TYPE_NUMBER, 102, 50);
	link_drop_records(p->a.link, drop_numbers);
	settle(p);
	assert_int_equal(p->b.records, 2);
	/* The descriptor stayed with its record, the other is gone. */
	assert_int_equal(write(p->b.fd, "hi", 2), 2);
	assert_int_equal(read(pipes[0], got, 2), 2);
	assert_string_equal(got, "hi");
	close(pipes[0]);
	close(pipes[1]);
}

static void
test_queue_maximum(void **state)
{
	struct pair *p = *state;
	struct buf *out = link_out(p->a.link);
	char *big = calloc(1, 1000000);
	size_t n = 0;

	assert_non_null(big);
	do {
		size_t at = wire_begin(out, TYPE_NUMBER);

		wire_put_u64(out, n);
		wire_put_str(out, big, 900000);
		if (wire_end(out, at) == -1)
			break;
	} while (++n < 100);
	free(big);
	assert_int_equal(n, 4);
	assert_true(out->failed);
	assert_true(link_queued(p->a.link) <= QUEUE_MAX);
	link_drop_queue(p->a.link);
	assert_false(out->failed);
	put(p->a.link, TYPE_NUMBER, 0, 3);
	settle(p);
	assert_int_equal(p->b.records, 1);
}

static void
test_free_inside_record(void **state)
{
	struct pair *p = *state;

	for (uint64_t n = 0; n < 10; n++)
		put(p->a.link, TYPE_NUMBER, n, 300);
	put(p->b.link, TYPE_NUMBER, 0, 300);
	p->b.free_at = 4;
	settle(p);
	assert_int_equal(p->b.records, 5);
	assert_int_equal(p->b.closed, 0);
	assert_int_equal(p->a.closed, 1);
}

static void
test_free_inside_large_record(void **state)
{
	struct pair *p = *state;

	put(p->a.link, TYPE_NUMBER, 0, 600000);
	put(p->a.link, TYPE_NUMBER, 1, 600000);
	p->b.free_at = 0;
	settle(p);
	assert_int_equal(p->b.records, 1);
	assert_int_equal(p->a.closed, 1);
}

static void
test_bad_record_closes(void **state)
{
	struct pair *p = *state;

	put(p->a.link, TYPE_NUMBER, 0, 3);
	put(p->a.link, TYPE_NUMBER, 1, 3);
	p->b.refuse_at = 0;
	settle(p);
	assert_int_equal(p->b.records, 1);
	assert_int_equal(p->b.closed, 1);
	assert_int_equal(p->b.err, EPROTO);
	assert_int_equal(p->a.closed, 1);
}

static void
test_garbage_closes(void **state)
{
	struct pair *p = *state;

	assert_int_equal(buf_add(link_out(p->a.link),
			     "\xff\xff\xff\xff\x01\x01", 6),
	    0);
	link_push(p->a.link);
	settle(p);
	assert_int_equal(p->b.closed, 1);
	assert_int_equal(p->b.err, EPROTO);
}

static void
test_last_words_are_heard(void **state)
{
	struct pair *p = *state;

	/* b has written and left; a writes, gets EPIPE, and still reads. */
	for (uint64_t n = 0; n < 5; n++)
		put(p->b.link, TYPE_NUMBER, n, 1000);
	assert_int_equal(link_flush(p->b.link), 0);
	link_free(p->b.link);
	p->b.link = NULL;
	put(p->a.link, TYPE_NUMBER, 0, 10);
	assert_int_equal(link_flush(p->a.link), -1);
	assert_int_equal(link_queued(p->a.link), 0);
	settle(p);
	assert_int_equal(p->a.records, 5);
	assert_int_equal(p->a.closed, 1);
}

static void
test_pause_holds_records_back(void **state)
{
	struct pair *p = *state;

	for (uint64_t n = 0; n < 100; n++)
		put(p->a.link, TYPE_NUMBER, n, 50);
	p->b.pause_at = 9;
	settle(p);
	assert_int_equal(p->b.records, 10);
	p->b.pause_at = 49;
	link_pause(p->b.link, false);
	settle(p);
	assert_int_equal(p->b.records, 50);
	/* More arrives meanwhile: the order stays. */
	put(p->a.link, TYPE_NUMBER, 100, 200000);
	settle(p);
	assert_int_equal(p->b.records, 50);
	p->b.pause_at = UINT64_MAX;
	link_pause(p->b.link, false);
	settle(p);
	assert_int_equal(p->b.records, 101);
}

static void
test_drain_reads_all(void **state)
{
	struct pair *p = *state;

	for (uint64_t n = 0; n < 30; n++)
		put(p->a.link, TYPE_NUMBER, n, 1000);
	assert_int_equal(link_flush(p->a.link), 0);
	link_free(p->a.link);
	p->a.link = NULL;
	link_drain(p->b.link);
	assert_int_equal(p->b.records, 30);
	assert_int_equal(p->b.closed, 0);
}

static void
test_wait(void **state)
{
	struct pair *p = *state;
	struct end tool;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	end_init(&tool, NULL, fds[0]);
	link_free(p->b.link);
	end_init(&p->b, p->base, fds[1]);
	/* Nobody answers. */
	put(tool.link, TYPE_NUMBER, 0, 10);
	assert_int_equal(link_wait(tool.link, 20), -1);
	assert_int_equal(errno, ETIMEDOUT);
	settle(p);
	assert_int_equal(p->b.records, 1);
	/* Two answers at once: one a call. */
	put(p->b.link, TYPE_NUMBER, 0, 10);
	put(p->b.link, TYPE_NUMBER, 1, 10);
	settle(p);
	assert_int_equal(link_wait(tool.link, 1000), 0);
	assert_int_equal(tool.records, 1);
	assert_int_equal(link_wait(tool.link, 1000), 0);
	assert_int_equal(tool.records, 2);
	link_free(p->b.link);
	p->b.link = NULL;
	assert_int_equal(link_wait(tool.link, 1000), -1);
	assert_int_equal(errno, ECONNRESET);
	assert_int_equal(tool.closed, 1);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_sizes),
		TEST(test_many_small_share_a_write),
		TEST(test_both_ways),
		TEST(test_byte_by_byte),
		TEST(test_descriptor_comes_with_its_record),
		TEST(test_unasked_descriptors_are_bounded),
		TEST(test_drop_keeps_the_record_begun),
		TEST(test_drop_by_type),
		TEST(test_queue_maximum),
		TEST(test_free_inside_record),
		TEST(test_free_inside_large_record),
		TEST(test_bad_record_closes),
		TEST(test_garbage_closes),
		TEST(test_last_words_are_heard),
		TEST(test_pause_holds_records_back),
		TEST(test_drain_reads_all),
		TEST(test_wait),
	};

	return cmocka_run_group_tests_name("link", tests, NULL, NULL);
}
