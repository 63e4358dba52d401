/* SPDX-License-Identifier: MIT */
/* The framing of records: exact bytes, streams cut anywhere, and readers that
 * never look beyond the end. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/wire.h"

static const uint8_t golden[] = {
	26, 0, 0, 0,            /* length: type, version, 24 bytes of fields */
	7, WIRE_VERSION,        /* */
	0xfe,                   /* u8 */
	0x02, 0x01,             /* u16 */
	0x04, 0x03, 0x02, 0x01, /* u32 */
	0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01, /* u64 */
	3, 0, 0, 0, 'a', 0, 'c',                        /* string */
	'z', 'z'                                        /* bytes */
};

static void
put_golden(struct buf *b)
{
	size_t at = wire_begin(b, 7);

	wire_put_u8(b, 0xfe);
	wire_put_u16(b, 0x0102);
	wire_put_u32(b, 0x01020304);
	wire_put_u64(b, UINT64_C(0x0102030405060708));
	wire_put_str(b, "a\0c", 3);
	wire_put_bytes(b, "zz", 2);
	assert_int_equal(wire_end(b, at), 0);
}

static void
test_exact_bytes(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	put_golden(&b);
	assert_int_equal(b.len, sizeof(golden));
	assert_memory_equal(buf_head(&b), golden, sizeof(golden));
	/* The second one of a queue whose front is drained. */
	put_golden(&b);
	buf_drain(&b, sizeof(golden));
	put_golden(&b);
	assert_int_equal(b.len, 2 * sizeof(golden));
	assert_memory_equal(buf_head(&b), golden, sizeof(golden));
	assert_memory_equal(buf_head(&b) + sizeof(golden), golden,
	    sizeof(golden));
	buf_free(&b);
}

static void
test_reads_back(void **state)
{
	struct wire_record rec;
	struct wire_reader r;
	const char *s;
	size_t len;

	(void)state;
	assert_int_equal(wire_next(golden, sizeof(golden), &rec),
	    sizeof(golden));
	assert_int_equal(rec.type, 7);
	assert_int_equal(rec.len, 24);
	assert_ptr_equal(rec.whole, golden);
	assert_int_equal(rec.whole_len, sizeof(golden));
	wire_reader_init(&r, &rec);
	assert_int_equal(wire_get_u8(&r), 0xfe);
	assert_int_equal(wire_get_u16(&r), 0x0102);
	assert_int_equal(wire_get_u32(&r), 0x01020304);
	assert_true(wire_get_u64(&r) == UINT64_C(0x0102030405060708));
	s = wire_get_str(&r, &len);
	assert_int_equal(len, 3);
	assert_memory_equal(s, "a\0c", 3);
	assert_false(wire_reader_done(&r));
	assert_memory_equal(wire_get_bytes(&r, 2), "zz", 2);
	assert_true(wire_reader_done(&r));
	/* One more: zero, bad for good. */
	assert_int_equal(wire_get_u8(&r), 0);
	assert_true(r.bad);
	assert_false(wire_reader_done(&r));
}

/* Whatever is asked of a reader after the end is zero and empty. */
static void
test_beyond_the_end(void **state)
{
	static const uint8_t payload[] = { 5, 0, 0, 0, 'a', 'b' };
	struct wire_record rec = { .payload = payload, .len = 6 };
	struct wire_reader r;
	const char *s;
	size_t len = 99;

	(void)state;
	wire_reader_init(&r, &rec);
	s = wire_get_str(&r, &len);
	assert_string_equal(s, "");
	assert_int_equal(len, 0);
	assert_true(r.bad);
	assert_int_equal(wire_get_u16(&r), 0);
	assert_int_equal(wire_get_u64(&r), 0);
	assert_null(wire_get_bytes(&r, 0));
	len = 99;
	assert_string_equal(wire_get_str(&r, &len), "");
	assert_int_equal(len, 0);
	/* A length that would wrap a pointer. */
	wire_reader_init(&r, &rec);
	assert_null(wire_get_bytes(&r, SIZE_MAX));
	assert_true(r.bad);
}

static void
test_stream_cut_anywhere(void **state)
{
	struct wire_record rec;

	(void)state;
	for (size_t n = 0; n < sizeof(golden); n++) {
		/* Memory of its own, so that a byte too far is noticed. */
		uint8_t *cut = malloc(n == 0 ? 1 : n);

		memcpy(cut, golden, n);
		assert_int_equal(wire_next(cut, n, &rec), 0);
		free(cut);
	}
}

static void
test_impossible_beginnings(void **state)
{
	uint8_t p[8] = { 0, 0, 0, 0, 7, WIRE_VERSION, 0, 0 };
	uint32_t bad[] = { 0, 1, WIRE_RECORD_MAX + 1, UINT32_MAX };
	struct wire_record rec;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		for (int k = 0; k < 4; k++)
			p[k] = (uint8_t)(bad[i] >> (8 * k));
		assert_int_equal(wire_next(p, 4, &rec), -1);
		assert_int_equal(wire_next(p, sizeof(p), &rec), -1);
	}
	memcpy(p, "\2\0\0\0", 4);
	assert_int_equal(wire_next(p, sizeof(p), &rec), 6);
	assert_int_equal(rec.len, 0);
	p[5] = WIRE_VERSION + 1;
	assert_int_equal(wire_next(p, sizeof(p), &rec), -1);
	/* A foreign version shows before the rest has come. */
	memcpy(p, "\377\0\0\0", 4);
	assert_int_equal(wire_next(p, 6, &rec), -1);
	/* The longest that may be: more must come. */
	for (int k = 0; k < 4; k++)
		p[k] = (uint8_t)((uint32_t)WIRE_RECORD_MAX >> (8 * k));
	p[5] = WIRE_VERSION;
	assert_int_equal(wire_next(p, sizeof(p), &rec), 0);
}

static void
test_full_buffer_keeps_whole_records(void **state)
{
	struct buf b;
	size_t at;

	(void)state;
	/* The second record stops fitting at each of its bytes in turn. */
	for (size_t max = sizeof(golden); max < 2 * sizeof(golden); max++) {
		buf_init(&b, max);
		put_golden(&b);
		at = wire_begin(&b, 7);
		wire_put_u8(&b, 0xfe);
		wire_put_u16(&b, 1);
		wire_put_u32(&b, 1);
		wire_put_u64(&b, 1);
		wire_put_str(&b, "abc", 3);
		wire_put_bytes(&b, "zz", 2);
		assert_int_equal(wire_end(&b, at), -1);
		assert_true(b.failed);
		assert_int_equal(b.len, sizeof(golden));
		assert_memory_equal(buf_head(&b), golden, sizeof(golden));
		/* A later one adds nothing either. */
		at = wire_begin(&b, 8);
		assert_int_equal(wire_end(&b, at), -1);
		assert_int_equal(b.len, sizeof(golden));
		buf_free(&b);
	}
}

static void
test_record_too_long(void **state)
{
	char *text = calloc(1, WIRE_RECORD_MAX + 1);
	struct wire_record rec;
	struct buf b;
	size_t at;

	(void)state;
	buf_init(&b, 4 * WIRE_RECORD_MAX);
	put_golden(&b);
	at = wire_begin(&b, 7);
	wire_put_str(&b, text, WIRE_RECORD_MAX - 5);
	assert_int_equal(wire_end(&b, at), -1);
	assert_false(b.failed);
	assert_int_equal(b.len, sizeof(golden));
	/* One byte less fits, and the buf still takes it. */
	at = wire_begin(&b, 7);
	wire_put_str(&b, text, WIRE_RECORD_MAX - 6);
	assert_int_equal(wire_end(&b, at), 0);
	assert_int_equal(wire_next((uint8_t *)buf_head(&b) + at, b.len - at,
			     &rec),
	    WIRE_RECORD_MAX + 4);
	buf_free(&b);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exact_bytes),
		cmocka_unit_test(test_reads_back),
		cmocka_unit_test(test_beyond_the_end),
		cmocka_unit_test(test_stream_cut_anywhere),
		cmocka_unit_test(test_impossible_beginnings),
		cmocka_unit_test(test_full_buffer_keeps_whole_records),
		cmocka_unit_test(test_record_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
