/* SPDX-License-Identifier: MIT */
/* The frame codec against another implementation: data/ws_vectors.txt holds
 * what python3-websockets wrote and read (see make_ws_vectors.py). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <openssl/sha.h>

#include "worker/ws_frame.h"

#define WIRE_MAX (128 * 1024)

static uint8_t wire[WIRE_MAX], plain[WIRE_MAX];

static FILE *
open_vectors(void)
{
	const char *dir = getenv("top_srcdir");
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/tests/unit/data/ws_vectors.txt",
	    dir != NULL ? dir : ".");
	f = fopen(path, "re");
	if (f == NULL)
		fail_msg("cannot open %s", path);
	return f;
}

static size_t
from_hex(uint8_t *out, const char *s)
{
	size_t n = 0;
	unsigned byte;

	if (strcmp(s, "-") == 0)
		return 0;
	for (; sscanf(s, "%2x", &byte) == 1; s += 2)
		out[n++] = (uint8_t)byte;
	assert_int_equal(*s, '\0');
	return n;
}

static void
fill_pattern(uint8_t *out, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		out[i] = (uint8_t)('a' + i % 26);
}

static void
assert_sha256(const uint8_t *p, size_t len, const char *hex)
{
	uint8_t want[SHA256_DIGEST_LENGTH], got[SHA256_DIGEST_LENGTH];

	assert_int_equal(from_hex(want, hex), sizeof(want));
	assert_non_null(SHA256(p, len, got));
	assert_memory_equal(got, want, sizeof(want));
}

/* Builds the frame as the vector describes it, checks by its hash that it is
 * what the other side wrote, and reads it. */
static void
check_client(const char *line)
{
	unsigned opcode, fin;
	size_t len, head, need, i;
	struct ws_codec c = { 0 };
	struct ws_frame f;
	char mask_hex[16], sha[80];
	uint8_t mask[8];

	assert_int_equal(sscanf(line, "client %u %u %zu %15s %79s", &opcode,
			     &fin, &len, mask_hex, sha),
	    5);
	assert_in_range(len, 0, WIRE_MAX - 14);
	assert_int_equal(from_hex(mask, mask_hex), 4);
	head = ws_frame_header(wire, opcode, len);
	wire[0] = (uint8_t)(fin << 7 | opcode);
	wire[1] |= 0x80;
	memcpy(wire + head, mask, 4);
	fill_pattern(plain, len);
	for (i = 0; i < len; i++)
		wire[head + 4 + i] = plain[i] ^ mask[i % 4];
	assert_sha256(wire, head + 4 + len, sha);
	assert_int_equal(ws_frame_parse(&c, wire, head + 4 + len, WIRE_MAX, &f,
			     &need),
	    head + 4 + len);
	assert_int_equal(f.opcode, opcode);
	assert_int_equal(f.fin, fin);
	assert_int_equal(f.len, len);
	assert_memory_equal(f.payload, plain, len);
}

static void
check_server(const char *line)
{
	unsigned opcode;
	size_t len, head;
	char sha[80];

	assert_int_equal(sscanf(line, "server %u %zu %79s", &opcode, &len, sha),
	    3);
	assert_in_range(len, 0, WIRE_MAX - 14);
	head = ws_frame_header(wire, opcode, len);
	fill_pattern(wire + head, len);
	assert_sha256(wire, head + len, sha);
}

/* How the stream went on from here, in the vector's words. */
static const char *
verdict(long n, const struct ws_frame *f, char text[24])
{
	if (n == 0)
		return "more";
	if (n > 0)
		return f->opcode == WS_CLOSE ? "close" : NULL;
	snprintf(text, 24, "%ld", -n);
	return text;
}

/* Reads the stream as it comes in pieces of `step` bytes. */
static void
check_stream(char *line, size_t step)
{
	char *max, *result, *want, *save, text[24];
	const char *got = "more";
	struct ws_codec c = { 0 };
	struct ws_frame f;
	size_t len, have = 0, at = 0, need, n;
	long used;

	assert_string_equal(strtok_r(line, " ", &save), "stream");
	max = strtok_r(NULL, " ", &save);
	len = from_hex(wire, strtok_r(NULL, " ", &save));
	result = strtok_r(NULL, " ", &save);
	while (have < len && strcmp(got, "more") == 0) {
		have = have + step < len ? have + step : len;
		do {
			used = ws_frame_parse(&c, wire + at, have - at,
			    strtoul(max, NULL, 10), &f, &need);
			got = verdict(used, &f, text);
			if (used <= 0)
				break;
			at += (size_t)used;
			want = strtok_r(NULL, " ", &save);
			assert_non_null(want);
			assert_int_equal(want[0] - '0', f.fin);
			assert_int_equal(strtol(want + 2, &want, 10), f.opcode);
			n = from_hex(plain, want + 1);
			assert_int_equal(n, f.len);
			assert_memory_equal(plain, f.payload, n);
		} while (got == NULL);
	}
	assert_string_equal(got, result);
	assert_null(strtok_r(NULL, " ", &save));
}

static void
test_vectors(void **state)
{
	FILE *f = open_vectors();
	char *line = NULL, *copy;
	size_t size = 0, step, clients = 0, servers = 0, streams = 0;
	ssize_t n;

	(void)state;
	while ((n = getline(&line, &size, f)) > 0) {
		line[n - 1] = '\0';
		if (line[0] == 'c') {
			check_client(line);
			clients++;
		} else if (line[1] == 'e') {
			check_server(line);
			servers++;
		} else if (line[0] == 's') {
			for (step = 1; step < 4096; step = step * 3 + 1) {
				copy = strdup(line);
				check_stream(copy, step);
				free(copy);
			}
			streams++;
		}
	}
	free(line);
	fclose(f);
	assert_in_range(clients, 30, 1000);
	assert_in_range(servers, 20, 1000);
	assert_in_range(streams, 200, 1000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
