/* SPDX-License-Identifier: MIT */
/* The buffer: what goes in comes out in order, and never more than its
 * maximum is held or allocated. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/buf.h"

static void
assert_holds(const struct buf *b, const char *text)
{
	assert_int_equal(b->len, strlen(text));
	assert_memory_equal(buf_head(b), text, b->len);
}

static void
test_starts_empty(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	assert_null(b.data);
	assert_int_equal(b.len, 0);
	assert_non_null(buf_head(&b));
	assert_int_equal(buf_add(&b, NULL, 0), 0);
	assert_null(b.data);
	assert_false(b.failed);
	assert_non_null(buf_reserve(&b, 0));
	buf_free(&b);
	assert_null(b.data);
	assert_int_equal(b.max, 100);
}

static void
test_adds_and_drains(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	assert_int_equal(buf_adds(&b, "one "), 0);
	assert_int_equal(buf_addf(&b, "%d %s", 2, "three"), 0);
	assert_holds(&b, "one 2 three");
	buf_drain(&b, 4);
	assert_holds(&b, "2 three");
	assert_int_equal(b.off, 4);
	memcpy(buf_reserve(&b, 10), " four", 5);
	buf_added(&b, 5);
	assert_holds(&b, "2 three four");
	buf_drain(&b, b.len);
	assert_holds(&b, "");
	assert_int_equal(b.off, 0);
	buf_adds(&b, "x");
	buf_clear(&b);
	assert_holds(&b, "");
	assert_non_null(b.data);
	buf_free(&b);
}

static void
test_maximum_is_exact(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 10);
	assert_int_equal(buf_adds(&b, "01234567"), 0);
	assert_int_equal(buf_adds(&b, "89"), 0);
	assert_holds(&b, "0123456789");
	assert_int_equal(b.cap, 10);
	assert_int_equal(buf_adds(&b, "x"), -1);
	assert_true(b.failed);
	assert_holds(&b, "0123456789");
	/* It stays failed, also for what would fit. */
	buf_drain(&b, 5);
	assert_int_equal(buf_adds(&b, "x"), -1);
	assert_int_equal(buf_add(&b, NULL, 0), -1);
	assert_null(buf_reserve(&b, 1));
	assert_int_equal(buf_addf(&b, "x"), -1);
	assert_int_equal(buf_add_u64(&b, 1), -1);
	assert_holds(&b, "56789");
	buf_clear(&b);
	assert_int_equal(buf_adds(&b, "x"), 0);
	/* Sizes near the end of size_t do not wrap around. */
	assert_null(buf_reserve(&b, SIZE_MAX));
	assert_true(b.failed);
	buf_free(&b);
	buf_init(&b, SIZE_MAX);
	buf_adds(&b, "x");
	assert_null(buf_reserve(&b, SIZE_MAX));
	buf_free(&b);
}

static void
test_addf_of_any_length(void **state)
{
	size_t lens[] = { 0, 1, 511, 512, 513, 5000 };
	char *text = malloc(5001);
	struct buf b;

	(void)state;
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		memset(text, 'a' + (int)i, lens[i]);
		text[lens[i]] = '\0';
		/* Just enough: the NUL of printf takes no room. */
		buf_init(&b, lens[i] + 1);
		buf_adds(&b, "<");
		assert_int_equal(buf_addf(&b, "%s", text), 0);
		assert_int_equal(b.len, lens[i] + 1);
		assert_memory_equal(buf_head(&b) + 1, text, lens[i]);
		buf_clear(&b);
		buf_adds(&b, "<<");
		assert_int_equal(buf_addf(&b, "%s", text), -1);
		buf_free(&b);
	}
	free(text);
}

static void
test_numbers(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	buf_add_u64(&b, 0);
	buf_adds(&b, " ");
	buf_add_u64(&b, 9);
	buf_adds(&b, " ");
	buf_add_u64(&b, 10);
	buf_adds(&b, " ");
	buf_add_u64(&b, UINT64_MAX);
	assert_holds(&b, "0 9 10 18446744073709551615");
	buf_free(&b);
}

/* Against a plain array: random adds and drains at all fill levels. */
static void
test_behaves_like_a_queue(void **state)
{
	enum { MAX = 3000, STEPS = 200000 };
	uint8_t *model = malloc(MAX);
	size_t held = 0, n;
	uint8_t next = 0;
	struct buf b;
	char *to;

	(void)state;
	srand(1);
	buf_init(&b, MAX);
	for (int i = 0; i < STEPS; i++) {
		n = (size_t)rand() % (i % 1000 < 500 ? 40 : 400);
		if (rand() % 2 == 0) {
			n = n < held ? n : held;
			buf_drain(&b, n);
			held -= n;
			memmove(model, model + n, held);
		} else if (held + n <= MAX) {
			to = buf_reserve(&b, n);
			assert_non_null(to);
			for (size_t k = 0; k < n; k++)
				to[k] = (char)(model[held++] = next++);
			buf_added(&b, n);
		} else {
			assert_null(buf_reserve(&b, n));
			/* What is held survives the failure. */
			b.failed = false;
		}
		assert_int_equal(b.len, held);
		assert_true(b.off + b.len <= b.cap && b.cap <= MAX);
		if (held > 0)
			assert_memory_equal(buf_head(&b), model, held);
	}
	buf_free(&b);
	free(model);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_starts_empty),
		cmocka_unit_test(test_adds_and_drains),
		cmocka_unit_test(test_maximum_is_exact),
		cmocka_unit_test(test_addf_of_any_length),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_behaves_like_a_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
