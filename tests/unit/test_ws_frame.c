/* SPDX-License-Identifier: MIT */
/* The frame codec against RFC 6455: its examples, every way to be wrong, the
 * borders of the lengths, and any cut of the stream. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "worker/ws_frame.h"

#define LIMIT 65536

static const uint8_t mask[4] = { 0x37, 0xfa, 0x21, 0x3d };

/* Writes a client frame, each length in the form asked for: 0 = 7 bits, 2 or
 * 8 bytes.  Masks byte by byte. */
static size_t
build(uint8_t *out, uint8_t first, const void *payload, size_t len, int form)
{
	size_t n = 2, i;

	out[0] = first;
	out[1] = 0x80 | (form == 0 ? len : form == 2 ? 126 : 127);
	for (i = (size_t)form; i > 0; i--)
		out[n++] = (uint8_t)((uint64_t)len >> (8 * (i - 1)));
	memcpy(out + n, mask, 4);
	n += 4;
	for (i = 0; i < len; i++)
		out[n++] = ((const uint8_t *)payload)[i] ^ mask[i % 4];
	return n;
}

static int
form_of(size_t len)
{
	return len < 126 ? 0 : len < 65536 ? 2 : 8;
}

/* Parses a lone frame; returns what the codec said. */
static long
parse_one(uint8_t first, size_t len, int form, struct ws_frame *f)
{
	static uint8_t wire[LIMIT + 64], payload[LIMIT + 32];
	struct ws_codec c = { 0 };
	size_t n = build(wire, first, payload, len, form), need;

	return ws_frame_parse(&c, wire, n, LIMIT, f, &need);
}

/* Section 5.7. */
static void
test_rfc_examples(void **state)
{
	uint8_t single[] = { 0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f,
		0x4d, 0x51, 0x58 };
	uint8_t unmasked[] = { 0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f };
	uint8_t pong[] = { 0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d,
		0x51, 0x58 };
	uint8_t head[WS_HEADER_MAX];
	struct ws_codec c = { 0 };
	struct ws_frame f;
	size_t need;

	(void)state;
	assert_int_equal(ws_frame_parse(&c, single, sizeof(single), LIMIT, &f,
			     &need),
	    sizeof(single));
	assert_true(f.fin);
	assert_int_equal(f.opcode, WS_TEXT);
	assert_int_equal(f.len, 5);
	assert_memory_equal(f.payload, "Hello", 5);
	assert_int_equal(ws_frame_parse(&c, pong, sizeof(pong), LIMIT, &f,
			     &need),
	    sizeof(pong));
	assert_int_equal(f.opcode, WS_PONG);
	assert_memory_equal(f.payload, "Hello", 5);
	/* A client must mask. */
	assert_int_equal(ws_frame_parse(&c, unmasked, sizeof(unmasked), LIMIT,
			     &f, &need),
	    -WS_CLOSE_PROTOCOL);
	/* What a server sends. */
	assert_int_equal(ws_frame_header(head, WS_TEXT, 5), 2);
	assert_memory_equal(head, unmasked, 2);
	assert_int_equal(ws_frame_header(head, WS_BINARY, 256), 4);
	assert_memory_equal(head, "\x82\x7e\x01\x00", 4);
	assert_int_equal(ws_frame_header(head, WS_BINARY, 65536), 10);
	assert_memory_equal(head, "\x82\x7f\0\0\0\0\0\x01\0\0", 10);
	assert_int_equal(ws_frame_header(head, WS_PING, 0), 2);
	assert_memory_equal(head, "\x89\x00", 2);
}

static void
test_lengths(void **state)
{
	static const size_t lengths[] = { 0, 1, 124, 125, 126, 127, 65534,
		65535, 65536 };
	uint8_t *wire = malloc(LIMIT + 32), *payload = malloc(LIMIT + 1);
	uint8_t head[WS_HEADER_MAX];
	struct ws_codec c = { 0 };
	struct ws_frame f;
	size_t i, k, n, need;

	(void)state;
	assert_non_null(wire);
	assert_non_null(payload);
	for (k = 0; k <= LIMIT; k++)
		payload[k] = (uint8_t)(k * 31 + (k >> 8));
	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		size_t len = lengths[i],
		       want = len < 126 ? 2 :
		    len < 65536         ? 4 :
					  10;

		n = build(wire, 0x81, payload, len, form_of(len));
		assert_int_equal(n, want + 4 + len);
		/* The need is known as soon as the length is. */
		for (k = 0; k < want; k++) {
			assert_int_equal(ws_frame_parse(&c, wire, k, LIMIT, &f,
					     &need),
			    0);
			assert_int_equal(need, 0);
		}
		for (k = want; k < n; k += k < 200 ? 1 : 997) {
			assert_int_equal(ws_frame_parse(&c, wire, k, LIMIT, &f,
					     &need),
			    0);
			assert_int_equal(need, n);
		}
		assert_int_equal(ws_frame_parse(&c, wire, n, LIMIT, &f, &need),
		    n);
		assert_int_equal(f.len, len);
		assert_memory_equal(f.payload, payload, len);
		assert_int_equal(ws_frame_header(head, WS_TEXT, len), want);
		/* The same header, but for the mask bit. */
		wire[1] &= 0x7f;
		assert_memory_equal(head, wire, want);
	}
	free(wire);
	free(payload);
}

/* Every length and every alignment of the eight-byte steps. */
static void
test_unmasking(void **state)
{
	uint8_t wire[128 + 16], payload[100];
	struct ws_codec c = { 0 };
	struct ws_frame f;
	size_t len, shift, n, need, i;

	(void)state;
	for (i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(255 - i * 7);
	for (len = 0; len < sizeof(payload); len++)
		for (shift = 0; shift < 8; shift++) {
			memset(wire, 0xee, sizeof(wire));
			n = build(wire + shift, 0x81, payload, len, 0);
			memset(wire + shift + n, 0xee, 8);
			assert_int_equal(ws_frame_parse(&c, wire + shift, n,
					     LIMIT, &f, &need),
			    n);
			assert_memory_equal(f.payload, payload, len);
			/* Not a byte further. */
			for (i = 0; i < 8; i++)
				assert_int_equal(wire[shift + n + i], 0xee);
		}
}

static void
test_errors(void **state)
{
	struct ws_frame f;
	uint8_t op;

	(void)state;
	/* Reserved bits and opcodes. */
	assert_int_equal(parse_one(0xc1, 1, 0, &f), -WS_CLOSE_PROTOCOL);
	assert_int_equal(parse_one(0xa1, 1, 0, &f), -WS_CLOSE_PROTOCOL);
	assert_int_equal(parse_one(0x91, 1, 0, &f), -WS_CLOSE_PROTOCOL);
	for (op = 3; op < 16; op++)
		if (op < WS_CLOSE || op > WS_PONG)
			assert_int_equal(parse_one(0x80 | op, 1, 0, &f),
			    -WS_CLOSE_PROTOCOL);
	assert_int_equal(parse_one(0x82, 1, 0, &f), -WS_CLOSE_UNSUPPORTED);
	assert_int_equal(parse_one(0x02, 1, 0, &f), -WS_CLOSE_UNSUPPORTED);
	/* Control frames: whole and short. */
	for (op = WS_CLOSE; op <= WS_PONG; op++) {
		assert_int_equal(parse_one(op, 1, 0, &f), -WS_CLOSE_PROTOCOL);
		assert_int_equal(parse_one(0x80 | op, 126, 2, &f),
		    -WS_CLOSE_PROTOCOL);
		assert_int_equal(parse_one(0x80 | op, 126, 8, &f),
		    -WS_CLOSE_PROTOCOL);
		assert_int_equal(parse_one(0x80 | op, 5, 2, &f),
		    -WS_CLOSE_PROTOCOL);
		assert_int_equal(parse_one(0x80 | op, 125, 0, &f), 131);
	}
	/* Padded lengths. */
	assert_int_equal(parse_one(0x81, 125, 2, &f), -WS_CLOSE_PROTOCOL);
	assert_int_equal(parse_one(0x81, 0, 2, &f), -WS_CLOSE_PROTOCOL);
	assert_int_equal(parse_one(0x81, 125, 8, &f), -WS_CLOSE_PROTOCOL);
	assert_int_equal(parse_one(0x81, 65535, 8, &f), -WS_CLOSE_PROTOCOL);
	/* Too big. */
	assert_int_equal(parse_one(0x81, LIMIT, 8, &f), LIMIT + 14);
	assert_int_equal(parse_one(0x81, LIMIT + 1, 8, &f), -WS_CLOSE_TOO_BIG);
	/* A continuation of nothing. */
	assert_int_equal(parse_one(0x80, 1, 0, &f), -WS_CLOSE_PROTOCOL);
	assert_int_equal(parse_one(0x00, 1, 0, &f), -WS_CLOSE_PROTOCOL);
}

/* The header alone is enough to refuse: nothing is waited for. */
static void
test_errors_come_early(void **state)
{
	uint8_t top[] = { 0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0 };
	uint8_t huge[] = { 0x81, 0xff, 0x7f, 255, 255, 255, 255, 255, 255,
		255 };
	uint8_t reserved[] = { 0xf1 }, unmasked[] = { 0x81, 0x7e };
	uint8_t over[] = { 0x81, 0xfe, 0x04, 0x01 };
	struct ws_codec c = { 0 };
	struct ws_frame f;
	size_t need;

	(void)state;
	assert_int_equal(ws_frame_parse(&c, reserved, 1, LIMIT, &f, &need),
	    -WS_CLOSE_PROTOCOL);
	assert_int_equal(ws_frame_parse(&c, unmasked, 2, LIMIT, &f, &need),
	    -WS_CLOSE_PROTOCOL);
	assert_int_equal(ws_frame_parse(&c, over, 4, 1024, &f, &need),
	    -WS_CLOSE_TOO_BIG);
	assert_int_equal(ws_frame_parse(&c, over, 4, 1025, &f, &need), 0);
	/* The most significant bit must be zero. */
	assert_int_equal(ws_frame_parse(&c, top, sizeof(top), LIMIT, &f, &need),
	    -WS_CLOSE_PROTOCOL);
	assert_int_equal(ws_frame_parse(&c, huge, sizeof(huge), LIMIT, &f,
			     &need),
	    -WS_CLOSE_TOO_BIG);
	assert_int_equal(ws_frame_parse(&c, huge, sizeof(huge), SIZE_MAX, &f,
			     &need),
	    -WS_CLOSE_TOO_BIG);
}

/* Takes frames until the bytes end or it fails. */
static long
feed(struct ws_codec *c, uint8_t first, size_t len, size_t max)
{
	static const uint8_t payload[512];
	uint8_t wire[600];
	struct ws_frame f;
	size_t need, n = build(wire, first, payload, len, form_of(len));
	long res = ws_frame_parse(c, wire, n, max, &f, &need);

	if (res > 0)
		assert_int_equal(f.len, len);
	return res;
}

static void
test_fragments(void **state)
{
	struct ws_codec c = { 0 };

	(void)state;
	assert_int_equal(feed(&c, 0x01, 100, 300), 106);
	assert_true(c.in_message);
	assert_int_equal(c.message_opcode, WS_TEXT);
	assert_int_equal(c.message_len, 100);
	/* Control frames may stand in between and count for nothing. */
	assert_int_equal(feed(&c, 0x89, 125, 300), 131);
	assert_int_equal(feed(&c, 0x8a, 0, 300), 6);
	assert_int_equal(c.message_len, 100);
	assert_int_equal(feed(&c, 0x00, 100, 300), 106);
	assert_int_equal(feed(&c, 0x00, 0, 300), 6);
	assert_int_equal(feed(&c, 0x88, 2, 300), 8);
	/* A new message must not begin. */
	assert_int_equal(feed(&c, 0x81, 1, 300), -WS_CLOSE_PROTOCOL);
	assert_int_equal(feed(&c, 0x82, 1, 300), -WS_CLOSE_PROTOCOL);
	/* The fragments together are bounded. */
	assert_int_equal(feed(&c, 0x80, 101, 300), -WS_CLOSE_TOO_BIG);
	assert_int_equal(feed(&c, 0x80, 100, 300), 106);
	assert_false(c.in_message);
	assert_int_equal(c.message_len, 0);
	/* And the next message is free of it. */
	assert_int_equal(feed(&c, 0x80, 1, 300), -WS_CLOSE_PROTOCOL);
	assert_int_equal(feed(&c, 0x01, 300, 300), 308);
	assert_int_equal(feed(&c, 0x00, 1, 300), -WS_CLOSE_TOO_BIG);
	/* A limit that shrank below what is there already. */
	assert_int_equal(feed(&c, 0x00, 1, 200), -WS_CLOSE_TOO_BIG);
	assert_int_equal(feed(&c, 0x80, 0, 300), 6);
}

static void
test_close_payload(void **state)
{
	static const struct {
		const char *payload;
		size_t len;
		int code;
	} cases[] = {
		{ "", 0, WS_CLOSE_NO_STATUS },
		{ "\x03", 1, WS_CLOSE_PROTOCOL },
		{ "\x03\xe8", 2, 1000 },
		{ "\x03\xe8reason \xc3\xa4", 11, 1000 },
		{ "\x03\xe8\xff", 3, WS_CLOSE_BAD_DATA },
		{ "\x03\xe8\xed\xa0\x80", 5, WS_CLOSE_BAD_DATA },
		{ "\x0f\x9f", 2, 3999 },
	};
	uint8_t two[2];
	size_t i;
	int code, good;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(ws_close_parse((const uint8_t *)cases[i]
						    .payload,
				     cases[i].len),
		    cases[i].code);
	for (code = 0; code < 65536; code++) {
		good = (code >= 1000 && code <= 1014 && code != 1004 &&
			   code != 1005 && code != 1006) ||
		    (code >= 3000 && code < 5000);
		two[0] = (uint8_t)(code >> 8);
		two[1] = (uint8_t)code;
		assert_int_equal(ws_close_parse(two, 2),
		    good ? code : WS_CLOSE_PROTOCOL);
	}
}

static void
test_accept_key(void **state)
{
	static const char *const bad[] = {
		"",
		"dGhlIHNhbXBsZSBub25jZQ=",
		"dGhlIHNhbXBsZSBub25jZQ",
		"dGhlIHNhbXBsZSBub25jZQ===",
		"dGhlIHNhbXBsZSBub25jZQAA",
		"dGhlIHNhbXBsZSBub25jZQA=",
		"dGhlIHNhbXBsZSBub25 ZQ==",
		"dGhlIHNhbXBsZSBub25-ZQ==",
		"=GhlIHNhbXBsZSBub25jZQ==",
		"dGhlIHNhbXBsZSBub25jZQ==x",
	};
	char out[WS_ACCEPT_SIZE];
	size_t i;

	(void)state;
	/* Section 1.3. */
	assert_true(ws_accept_key("dGhlIHNhbXBsZSBub25jZQ==", out));
	assert_string_equal(out, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
	assert_true(ws_accept_key("++++++++++//////////AA==", out));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (ws_accept_key(bad[i], out))
			fail_msg("accepted: %s", bad[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc_examples),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_unmasking),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_errors_come_early),
		cmocka_unit_test(test_fragments),
		cmocka_unit_test(test_close_payload),
		cmocka_unit_test(test_accept_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
