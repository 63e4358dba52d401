/* SPDX-License-Identifier: MIT */
/* Frames kept for the next reader: found as they stand, bounded, let go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "worker/frame_cache.h"
#include "worker/ws_out.h"

static struct ws_shared *
frame_of(const char *text)
{
	return ws_shared_new(WS_TEXT, text, strlen(text));
}

static void
put(struct frame_cache *fc, uint64_t room, uint64_t seq, uint64_t rev,
    struct ws_shared *frame)
{
	struct cached_frame c = { .frame = frame };

	frame_cache_put(fc, room, seq, rev, &c);
}

static void
test_found_as_it_stands(void **state)
{
	struct frame_cache *fc = frame_cache_new();
	struct ws_shared *a = frame_of("a"), *b = frame_of("b");

	(void)state;
	assert_null(frame_cache_get(fc, 1, 1, 0));
	put(fc, 1, 1, 0, a);
	assert_int_equal(a->refs, 2);
	assert_ptr_equal(frame_cache_get(fc, 1, 1, 0)->frame, a);
	assert_null(frame_cache_get(fc, 1, 2, 0));
	assert_null(frame_cache_get(fc, 2, 1, 0));

	/* The room has changed since: it may not be so any more. */
	assert_null(frame_cache_get(fc, 1, 1, 3));
	assert_int_equal(a->refs, 1);
	assert_null(frame_cache_get(fc, 1, 1, 0));

	/* A reader of an older snapshot does not spoil a newer one. */
	put(fc, 1, 1, 3, b);
	assert_null(frame_cache_get(fc, 1, 1, 2));
	put(fc, 1, 1, 2, a);
	assert_ptr_equal(frame_cache_get(fc, 1, 1, 3)->frame, b);
	put(fc, 1, 1, 4, a);
	assert_null(frame_cache_get(fc, 1, 1, 3));
	assert_ptr_equal(frame_cache_get(fc, 1, 1, 4)->frame, a);

	frame_cache_free(fc);
	assert_int_equal(a->refs, 1);
	assert_int_equal(b->refs, 1);
	ws_shared_unref(a);
	ws_shared_unref(b);
}

static void
test_strings_are_copied(void **state)
{
	struct frame_cache *fc = frame_cache_new();
	struct ws_shared *f = frame_of("x");
	char sender[] = "ann", id[] = "c1";
	struct cached_frame c = { f, { sender, 3 }, { id, 2 } };
	const struct cached_frame *got;

	(void)state;
	frame_cache_put(fc, 7, 9, 1, &c);
	memset(sender, 0, sizeof(sender));
	memset(id, 0, sizeof(id));
	got = frame_cache_get(fc, 7, 9, 1);
	assert_non_null(got);
	assert_int_equal(got->sender.len, 3);
	assert_memory_equal(got->sender.p, "ann", 3);
	assert_int_equal(got->client_msg_id.len, 2);
	assert_memory_equal(got->client_msg_id.p, "c1", 2);
	frame_cache_free(fc);
	ws_shared_unref(f);
}

static void
test_bounded(void **state)
{
	struct frame_cache *fc = frame_cache_new();
	static char text[16 * 1024];
	uint64_t n = 2 * FRAME_CACHE_MAX / sizeof(text);

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	for (uint64_t seq = 1; seq <= n; seq++) {
		struct ws_shared *f = frame_of(text);

		put(fc, 1, seq, 0, f);
		ws_shared_unref(f);
		assert_true(frame_cache_bytes(fc) <= FRAME_CACHE_MAX);
	}
	/* The oldest have gone, the newest are there. */
	assert_null(frame_cache_get(fc, 1, 1, 0));
	assert_non_null(frame_cache_get(fc, 1, n, 0));
	assert_non_null(frame_cache_get(fc, 1, n - n / 4, 0));
	frame_cache_free(fc);
}

static void
test_let_go(void **state)
{
	struct frame_cache *fc = frame_cache_new();
	struct ws_shared *f = frame_of("x");

	(void)state;
	for (uint64_t room = 1; room <= 40; room++) {
		for (uint64_t seq = 1; seq <= 40; seq++)
			put(fc, room, seq, 0, f);
	}
	for (int i = 0; i < FRAME_CACHE_TICKS - 1; i++)
		frame_cache_tick(fc);
	for (uint64_t seq = 1; seq <= 40; seq++)
		assert_non_null(frame_cache_get(fc, 3, seq, 0));
	frame_cache_tick(fc);
	assert_null(frame_cache_get(fc, 2, 1, 0));
	for (uint64_t seq = 1; seq <= 40; seq++)
		assert_non_null(frame_cache_get(fc, 3, seq, 0));
	for (int i = 0; i < FRAME_CACHE_TICKS; i++)
		frame_cache_tick(fc);
	assert_int_equal(frame_cache_bytes(fc), 0);
	assert_int_equal(f->refs, 1);
	/* And it can be filled again. */
	put(fc, 1, 1, 0, f);
	assert_non_null(frame_cache_get(fc, 1, 1, 0));
	frame_cache_clear(fc);
	assert_int_equal(frame_cache_bytes(fc), 0);
	assert_null(frame_cache_get(fc, 1, 1, 0));
	frame_cache_free(fc);
	ws_shared_unref(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_found_as_it_stands),
		cmocka_unit_test(test_strings_are_copied),
		cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_let_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
