/* SPDX-License-Identifier: MIT */
/*
 * The output queue of a WebSocket: frames come out whole and in order
 * whatever the socket takes at a time, and shared frames are freed by their
 * last holder.  The socket is a stand-in that takes what a test allows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "worker/ws_out.h"

/* What the stand-in has taken, and how much it will take at once. */
struct sink {
	uint8_t got[65536];
	size_t len;
	size_t room;  /* bytes until EAGAIN */
	size_t chunk; /* most bytes of one call */
	int calls;
	int broken;
};

static long
sink_writev(int fd, void *ctx, const struct iovec *v, int count)
{
	struct sink *s = ctx;
	size_t took = 0;

	(void)fd;
	s->calls++;
	if (s->broken) {
		errno = EPIPE;
		return -1;
	}
	if (s->room == 0) {
		errno = EAGAIN;
		return -1;
	}
	for (int i = 0; i < count; i++) {
		size_t n = v[i].iov_len;

		if (n > s->chunk - took)
			n = s->chunk - took;
		if (n > s->room)
			n = s->room;
		memcpy(s->got + s->len, v[i].iov_base, n);
		s->len += n;
		s->room -= n;
		took += n;
		if (n < v[i].iov_len)
			break;
	}
	return (long)took;
}

static const struct ws_backend sink_backend = { .writev_fn = sink_writev };

static void
test_order_under_any_chunking(void **state)
{
	(void)state;
	for (size_t chunk = 1; chunk < 40; chunk++) {
		struct sink *s = calloc(1, sizeof(*s));
		struct ws_out o = { 0 };
		uint8_t want[8192];
		size_t len = 0, wrote, total = 0;
		int rc;

		s->room = sizeof(s->got);
		s->chunk = chunk;
		for (int i = 0; i < 100; i++) {
			struct ws_shared *f;
			char text[32];
			int n = snprintf(text, sizeof(text), "frame %d", i);

			f = ws_shared_new(WS_TEXT, text, (size_t)n);
			memcpy(want + len, f->data, f->len);
			len += f->len;
			ws_out_add(&o, f);
			ws_shared_unref(f);
		}
		assert_int_equal(o.bytes, len);
		do {
			rc = ws_out_flush(&o, &sink_backend, 0, s, &wrote);
			assert_int_not_equal(rc, -1);
			total += wrote;
		} while (rc == 1);
		assert_int_equal(total, len);
		assert_int_equal(o.bytes, 0);
		assert_int_equal(s->len, len);
		assert_memory_equal(s->got, want, len);
		ws_out_free(&o);
		free(s);
	}
}

static void
test_full_socket_keeps_the_rest(void **state)
{
	struct sink s = { .room = 5, .chunk = 100 };
	struct ws_shared *f = ws_shared_new(WS_TEXT, "0123456789", 10);
	struct ws_out o = { 0 };
	size_t wrote;

	(void)state;
	ws_out_add(&o, f);
	assert_int_equal(ws_out_flush(&o, &sink_backend, 0, &s, &wrote), 1);
	assert_int_equal(wrote, 5);
	assert_int_equal(o.bytes, 7);
	assert_int_equal(ws_out_flush(&o, &sink_backend, 0, &s, &wrote), 1);
	assert_int_equal(wrote, 0);
	s.room = 100;
	assert_int_equal(ws_out_flush(&o, &sink_backend, 0, &s, &wrote), 0);
	assert_int_equal(wrote, 7);
	assert_memory_equal(s.got, f->data, f->len);
	assert_int_equal(f->refs, 1);
	ws_shared_unref(f);
	ws_out_free(&o);
}

static void
test_drop_keeps_a_frame_partly_written(void **state)
{
	struct sink s = { .room = 4, .chunk = 100 };
	struct ws_shared *a = ws_shared_new(WS_TEXT, "aaaaaaaa", 8);
	struct ws_shared *b = ws_shared_new(WS_TEXT, "bbbbbbbb", 8);
	struct ws_out o = { 0 };
	size_t wrote;

	(void)state;
	ws_out_add(&o, a);
	ws_out_add(&o, b);
	assert_int_equal(ws_out_flush(&o, &sink_backend, 0, &s, &wrote), 1);
	ws_out_drop(&o);
	assert_int_equal(o.count, 1);
	assert_int_equal(o.bytes, 6);
	assert_int_equal(b->refs, 1);
	s.room = 100;
	assert_int_equal(ws_out_flush(&o, &sink_backend, 0, &s, &wrote), 0);
	assert_memory_equal(s.got, a->data, a->len);
	assert_int_equal(s.len, a->len);
	ws_shared_unref(a);
	ws_shared_unref(b);
	ws_out_free(&o);
}

/* What the end of a connection leaves undelivered. */
static void
test_messages_that_wait(void **state)
{
	struct sink s = { .room = 4, .chunk = 100 };
	struct ws_out o = { 0 };
	size_t wrote;

	(void)state;
	assert_int_equal(ws_out_messages(&o), 0);
	for (int i = 0; i < 9; i++) {
		struct ws_shared *f = ws_shared_new(WS_TEXT, "0123", 4);

		f->message = i % 2 == 0;
		ws_out_add(&o, f);
		ws_shared_unref(f);
	}
	assert_int_equal(ws_out_messages(&o), 5);
	/* One half sent is not sent. */
	assert_int_equal(ws_out_flush(&o, &sink_backend, 0, &s, &wrote), 1);
	assert_int_equal(ws_out_messages(&o), 5);
	s.room = 2;
	assert_int_equal(ws_out_flush(&o, &sink_backend, 0, &s, &wrote), 1);
	assert_int_equal(ws_out_messages(&o), 4);
	s.room = 100;
	assert_int_equal(ws_out_flush(&o, &sink_backend, 0, &s, &wrote), 0);
	assert_int_equal(ws_out_messages(&o), 0);
	ws_out_free(&o);
}

static void
test_one_frame_many_holders(void **state)
{
	struct ws_shared *f = ws_shared_new(WS_TEXT, "x", 1);
	struct sink s = { .room = 65536, .chunk = 65536 };
	struct ws_out o[10] = { { 0 } };
	size_t wrote;

	(void)state;
	for (int i = 0; i < 10; i++)
		ws_out_add(&o[i], f);
	assert_int_equal(f->refs, 11);
	for (int i = 0; i < 10; i++)
		(void)ws_out_flush(&o[i], &sink_backend, 0, &s, &wrote);
	assert_int_equal(f->refs, 1);
	assert_int_equal(s.calls, 10);
	for (int i = 0; i < 10; i++)
		ws_out_free(&o[i]);
	ws_shared_unref(f);
}

static void
test_broken_socket(void **state)
{
	struct sink s = { .broken = 1 };
	struct ws_shared *f = ws_shared_new(WS_TEXT, "x", 1);
	struct ws_out o = { 0 };
	size_t wrote;

	(void)state;
	ws_out_add(&o, f);
	assert_int_equal(ws_out_flush(&o, &sink_backend, 0, &s, &wrote), -1);
	ws_out_free(&o);
	assert_int_equal(f->refs, 1);
	ws_shared_unref(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_under_any_chunking),
		cmocka_unit_test(test_full_socket_keeps_the_rest),
		cmocka_unit_test(test_drop_keeps_a_frame_partly_written),
		cmocka_unit_test(test_messages_that_wait),
		cmocka_unit_test(test_one_frame_many_holders),
		cmocka_unit_test(test_broken_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
