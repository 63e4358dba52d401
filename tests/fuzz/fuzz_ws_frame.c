/* SPDX-License-Identifier: MIT */
/*
 * The frame codec: whatever bytes a client sends, cut as the network likes,
 * give the same frames and the same end as in one piece.
 *
 * Input: one byte that seeds the cuts, one for the limit, then the stream.
 */
#include "fuzz.h"

#include <stdbool.h>
#include <string.h>

#include "worker/ws_frame.h"

#define FRAMES_MAX 4096

/* What came of a stream. */
struct story {
	struct {
		uint8_t opcode;
		bool fin;
		size_t at; /* of the payload, in the stream */
		size_t len;
	} frames[FRAMES_MAX];
	size_t nframes;
	long end; /* 0 or a negative close code */
	struct ws_codec codec;
};

static void
check_frame(const struct ws_codec *c, const struct ws_frame *f,
    const uint8_t *p, size_t used, size_t limit)
{
	FUZZ_CHECK(f->payload >= p + 6);
	FUZZ_CHECK(f->payload + f->len == p + used);
	FUZZ_CHECK(f->opcode == WS_CONTINUATION || f->opcode == WS_TEXT ||
	    (f->opcode >= WS_CLOSE && f->opcode <= WS_PONG));
	FUZZ_CHECK(c->message_len <= limit);
	FUZZ_CHECK(c->in_message || c->message_len == 0);
	if (f->opcode >= WS_CLOSE)
		FUZZ_CHECK(f->fin && f->len <= 125);
	else
		FUZZ_CHECK(f->len <= limit && c->in_message == !f->fin);
	if (f->opcode == WS_CLOSE) {
		int code = ws_close_parse(f->payload, f->len);

		FUZZ_CHECK(code >= 1000 && code < 5000);
	}
}

/* Reads what is there as if `step` told how many bytes come at a time. */
static void
read_stream(struct story *s, uint8_t *p, size_t len, size_t limit,
    uint32_t seed)
{
	size_t have = seed == 0 ? len : 0, at = 0, need = 0;
	struct ws_frame f;
	long used;

	memset(s, 0, sizeof(*s));
	for (;;) {
		used = ws_frame_parse(&s->codec, p + at, have - at, limit, &f,
		    &need);
		FUZZ_CHECK(used <= (long)(have - at));
		if (used < 0 || s->nframes == FRAMES_MAX) {
			s->end = used;
			return;
		}
		if (used > 0) {
			check_frame(&s->codec, &f, p + at, (size_t)used, limit);
			s->frames[s->nframes].opcode = f.opcode;
			s->frames[s->nframes].fin = f.fin;
			s->frames[s->nframes].at = (size_t)(f.payload - p);
			s->frames[s->nframes++].len = f.len;
			at += (size_t)used;
			continue;
		}
		FUZZ_CHECK(need == 0 || need > have - at);
		if (have == len)
			return;
		seed = seed * 1664525 + 1013904223;
		have += 1 + (seed >> 8) % 23;
		if (have > len)
			have = len;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct story whole, cut;
	uint8_t *one, *two, *between;
	size_t limit;

	if (size < 2)
		return 0;
	limit = (size_t)data[1] * 300;
	size -= 2;
	one = malloc(size + 1);
	two = malloc(size + 1);
	FUZZ_CHECK(one != NULL && two != NULL);
	memcpy(one, data + 2, size);
	/* Off its alignment, too. */
	between = two + 1;
	memcpy(between, data + 2, size);
	read_stream(&whole, one, size, limit, 0);
	read_stream(&cut, between, size, limit, data[0] + 1u);
	/* Payloads are unmasked in place, in the same places. */
	FUZZ_CHECK(memcmp(one, between, size) == 0);
	FUZZ_CHECK(memcmp(&whole, &cut, sizeof(cut)) == 0);
	free(one);
	free(two);
	return 0;
}
