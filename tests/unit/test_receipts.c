/* SPDX-License-Identifier: MIT */
/* Receipts: the blob, who may still ask, and which rows may go. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "common/records.h"
#include "writer/receipts.h"

#define BLOB_SIZE 4096

static struct rec_reply
reply(uint64_t op)
{
	return (struct rec_reply){ .op = op,
		.outcome = OUTCOME_OK,
		.room = op * 3,
		.seq = UINT64_MAX - op,
		.ms = 1790000000123,
		.text = { "text", op % 5 } };
}

static void
test_blob(void **state)
{
	struct receipts *r = receipts_new();
	struct rec_reply x, want;
	const uint8_t *blob;
	uint8_t *copy;
	size_t len;

	(void)state;
	for (uint64_t op = 1; op <= 100; op++) {
		want = reply(op);
		receipts_add(r, op % 3 == 0 ? UINT64_MAX : op % 3, &want);
	}
	blob = receipts_blob(r, &len);
	for (uint64_t op = 1; op <= 100; op++) {
		uint64_t inc = op % 3 == 0 ? UINT64_MAX : op % 3;

		want = reply(op);
		assert_true(receipts_maybe(r, inc, op));
		assert_true(receipts_search(blob, len, inc, op, &x));
		assert_int_equal(x.outcome, want.outcome);
		assert_int_equal(x.room, want.room);
		assert_int_equal(x.seq, want.seq);
		assert_int_equal(x.ms, want.ms);
		assert_int_equal(x.text.len, want.text.len);
		assert_memory_equal(x.text.p, "text", x.text.len);
		assert_false(receipts_search(blob, len, inc + 5, op, &x));
	}
	assert_false(receipts_search(blob, len, 1, 101, &x));
	assert_false(receipts_maybe(r, 1, 101));
	assert_false(receipts_maybe(r, 4, 1));

	/* Cut anywhere or changed anywhere it is read without harm. */
	copy = malloc(len);
	for (size_t i = 0; i < len; i++) {
		struct receipts *other = receipts_new();
		uint8_t *cut = malloc(i > 0 ? i : 1);

		memcpy(cut, blob, i);
		assert_false(receipts_search(cut, i, 77, 1, &x));
		free(cut);
		memcpy(copy, blob, len);
		copy[i] ^= 0xff;
		(void)receipts_search(copy, len, 77, 1, &x);
		(void)receipts_load(other, 1, copy, len);
		receipts_free(other);
	}
	free(copy);
	receipts_free(r);
}

static void
commit(struct receipts *r, uint64_t n, uint64_t inc, uint64_t from, uint64_t to)
{
	for (uint64_t op = from; op <= to; op++) {
		struct rec_reply x = reply(op);

		receipts_add(r, inc, &x);
	}
	receipts_committed(r, n);
}

static void
test_rows(void **state)
{
	struct receipts *r = receipts_new();
	uint64_t first, last;
	size_t at = 0;

	(void)state;
	commit(r, 1, 7, 1, 10);
	commit(r, 2, 7, 11, 20);
	commit(r, 3, 8, 1, 1);
	commit(r, 4, 7, 21, 30);
	assert_int_equal(receipts_row(r, 7, 15, 0), 2);
	assert_int_equal(receipts_row(r, 7, 15, 2), 0);
	assert_int_equal(receipts_row(r, 8, 1, 0), 3);
	assert_int_equal(receipts_row(r, 9, 1, 0), 0);
	assert_int_equal(receipts_settled(r), 0);
	assert_false(receipts_run(r, &at, &first, &last));

	receipts_confirm(r, 7, 20);
	assert_int_equal(receipts_settled(r), 1);
	receipts_confirm(r, 7, 31);
	assert_int_equal(receipts_settled(r), 3);
	assert_false(receipts_maybe(r, 7, 15));
	assert_true(receipts_run(r, &at, &first, &last));
	assert_int_equal(first, 1);
	assert_int_equal(last, 2);
	assert_true(receipts_run(r, &at, &first, &last));
	assert_int_equal(first, 4);
	assert_int_equal(last, 4);
	assert_false(receipts_run(r, &at, &first, &last));
	receipts_deleted(r);
	assert_int_equal(receipts_settled(r), 0);
	assert_true(receipts_maybe(r, 8, 1));
	receipts_confirm(r, 8, UINT64_MAX);
	assert_int_equal(receipts_settled(r), 1);
	assert_false(receipts_maybe(r, 8, 1));
	receipts_free(r);
}

/* A row with work of two workers waits for both. */
static void
test_shared_row(void **state)
{
	struct receipts *r = receipts_new();
	struct rec_reply x = reply(5);

	(void)state;
	receipts_add(r, 1, &x);
	commit(r, 1, 2, 9, 9);
	receipts_confirm(r, 1, 6);
	assert_int_equal(receipts_settled(r), 0);
	receipts_confirm(r, 2, 9);
	assert_int_equal(receipts_settled(r), 0);
	receipts_confirm(r, 2, 10);
	assert_int_equal(receipts_settled(r), 1);
	receipts_free(r);
}

static void
test_abort(void **state)
{
	struct receipts *r = receipts_new();
	struct rec_reply x = reply(5);
	size_t len;

	(void)state;
	receipts_add(r, 1, &x);
	receipts_confirm(r, 1, UINT64_MAX);
	receipts_abort(r);
	(void)receipts_blob(r, &len);
	assert_int_equal(len, 0);
	assert_int_equal(receipts_row(r, 1, 5, 0), 0);
	commit(r, 1, 2, 1, 1);
	assert_int_equal(receipts_row(r, 2, 1, 0), 1);
	receipts_free(r);
}

/* Bits are shared by operations 65,536 apart: no false "has none". */
static void
test_window(void **state)
{
	struct receipts *r = receipts_new();
	uint64_t n = 0;

	(void)state;
	for (uint64_t op = 1; op < 300000; op += 1000) {
		commit(r, ++n, 3, op, op + 999);
		for (uint64_t i = op; i < op + 1000; i += 37)
			assert_true(receipts_maybe(r, 3, i));
		if (op > 60000)
			receipts_confirm(r, 3, op - 59000);
		assert_true(receipts_maybe(r, 3, op > 58000 ? op - 58000 : op));
		assert_false(receipts_maybe(r, 3, op + 1000));
	}
	receipts_free(r);
}

static void
test_load(void **state)
{
	struct receipts *r = receipts_new(), *next = receipts_new();
	uint8_t blobs[3][BLOB_SIZE];
	size_t len[3];

	(void)state;
	for (uint64_t n = 0; n < 3; n++) {
		const void *blob;

		for (uint64_t op = n * 10; op < n * 10 + 10; op++) {
			struct rec_reply x = reply(op + 1);

			receipts_add(r, 5 + n % 2, &x);
		}
		blob = receipts_blob(r, &len[n]);
		assert_true(len[n] < BLOB_SIZE);
		memcpy(blobs[n], blob, len[n]);
		receipts_committed(r, n + 1);
		assert_int_equal(receipts_load(next, n + 1, blobs[n], len[n]),
		    0);
	}
	assert_int_equal(receipts_load(next, 4, "", 0), 0);
	assert_int_equal(receipts_settled(next), 1);
	assert_true(receipts_maybe(next, 5, 25));
	assert_int_equal(receipts_row(next, 5, 25, 0), 3);
	assert_true(receipts_maybe(next, 6, 15));
	/* 6 is alive, 5 never shows up. */
	receipts_confirm(next, 6, 0);
	receipts_forget_absent(next);
	assert_int_equal(receipts_settled(next), 3);
	assert_true(receipts_maybe(next, 6, 15));
	assert_int_equal(receipts_load(next, 5, "\x02zz", 3), -1);
	receipts_free(r);
	receipts_free(next);
	receipts_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_blob),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_shared_row),
		cmocka_unit_test(test_abort),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
