/* SPDX-License-Identifier: MIT */
/*
 * Builds and searches the frames of the load generator.  Assumes a sane
 * server: what it cannot find is reported as missing, never guessed.
 */
#include "ws_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stats.h"

static void
put_hex(char *out, uint64_t v, unsigned digits)
{
	while (digits-- > 0) {
		out[digits] = "0123456789abcdef"[v & 15];
		v >>= 4;
	}
}

static bool
get_hex(const char *p, unsigned digits, uint64_t *v)
{
	*v = 0;
	while (digits-- > 0) {
		unsigned c = (unsigned char)*p++;

		if (c - '0' < 10)
			*v = *v << 4 | (c - '0');
		else if (c - 'a' < 6)
			*v = *v << 4 | (c - 'a' + 10);
		else
			return false;
	}
	return true;
}

void
ws_template_init(struct ws_template *t, const char *room, unsigned size,
    bool client_ids)
{
	FILE *f;

	memset(t, 0, sizeof(*t));
	if ((f = open_memstream(&t->text, &t->len)) == NULL)
		abort();
	fprintf(f, "{\"type\":\"send_message\",\"request_id\":\"");
	t->request = (size_t)ftell(f);
	fprintf(f, "00000000\",\"room_id\":\"%s\",", room);
	if (client_ids) {
		fprintf(f, "\"client_msg_id\":\"");
		t->client_id = (size_t)ftell(f);
		fprintf(f, "0000000000000000\",");
	}
	fprintf(f, "\"content\":\"");
	t->stamp = (size_t)ftell(f);
	fprintf(f, "0000000000000000");
	for (unsigned i = WS_TEXT_STAMP; i < size; i++)
		putc(' ' + (i % 7 == 0 ? 0 : 'a' - ' ' + i % 26), f);
	fprintf(f, "\"}");
	fclose(f);
}

void
ws_template_free(struct ws_template *t)
{
	free(t->text);
	t->text = NULL;
}

size_t
ws_text_frame_size(size_t len)
{
	return len + 4 + (len < 126 ? 2 : len < 65536 ? 4 : 10);
}

static size_t
frame_header(uint8_t *out, uint8_t opcode, size_t len)
{
	size_t n;

	out[0] = 0x80 | opcode;
	if (len < 126) {
		out[1] = (uint8_t)(0x80 | len);
		return 2;
	}
	n = len < 65536 ? 2 : 8;
	out[1] = 0x80 | (n == 2 ? 126 : 127);
	for (size_t i = 0; i < n; i++)
		out[2 + i] = (uint8_t)(len >> 8 * (n - 1 - i));
	return 2 + n;
}

/* Masks in place with a fresh key, which goes in front. */
static void
frame_mask(uint8_t *key, uint8_t *p, size_t len)
{
	uint32_t mask = (uint32_t)(stats_random() >> 16);
	uint64_t wide = (uint64_t)mask << 32 | mask, v;
	size_t i = 0;

	memcpy(key, &mask, 4);
	for (; i + 8 <= len; i += 8) {
		memcpy(&v, p + i, 8);
		v ^= wide;
		memcpy(p + i, &v, 8);
	}
	for (; i < len; i++)
		p[i] ^= key[i % 4];
}

size_t
ws_text_frame(uint8_t *out, uint8_t opcode, const void *payload, size_t len)
{
	size_t n = frame_header(out, opcode, len);

	if (len > 0)
		memcpy(out + n + 4, payload, len);
	frame_mask(out + n, out + n + 4, len);
	return n + 4 + len;
}

size_t
ws_text_send(const struct ws_template *t, uint8_t *out, uint32_t request,
    uint64_t stamp, uint64_t client_id)
{
	size_t n = frame_header(out, 1, t->len);
	char *p = (char *)out + n + 4;

	memcpy(p, t->text, t->len);
	put_hex(p + t->request, request, 8);
	put_hex(p + t->stamp, stamp, WS_TEXT_STAMP);
	if (t->client_id != 0)
		put_hex(p + t->client_id, client_id, 16);
	frame_mask(out + n, out + n + 4, t->len);
	return n + 4 + t->len;
}

bool
ws_text_is(const char *text, size_t len, const char *type)
{
	static const char lead[] = "{\"type\":\"";
	const size_t at = sizeof(lead) - 1, n = strlen(type);
	const char *p;

	if (len >= at && memcmp(text, lead, at) == 0)
		p = text + at;
	else if ((p = memmem(text, len, lead + 1, at - 1)) != NULL)
		p += at - 1;
	else
		return false;
	return (size_t)(text + len - p) > n && memcmp(p, type, n) == 0 &&
	    p[n] == '"';
}

/* Where the value behind "name": begins; NULL when it is not there. */
static const char *
find(const char *text, const char *end, const char *name, size_t n)
{
	const char *p = memmem(text, (size_t)(end - text), name, n);

	return p == NULL ? NULL : p + n;
}
#define FIND(text, end, literal) find(text, end, literal, sizeof(literal) - 1)

bool
ws_text_message(const char *text, size_t len, struct ws_text_message *m)
{
	const char *end = text + len, *p, *content;

	m->room = FIND(text, end, "\"room_id\":\"");
	if (m->room == NULL || end - m->room < WS_TEXT_ROOM_LEN ||
	    (p = FIND(text, end, "\"seq\":")) == NULL)
		return false;
	content = FIND(p, end, "\"content\":\"");
	m->seq = 0;
	for (; p < end && *p >= '0' && *p <= '9'; p++)
		m->seq = m->seq * 10 + (uint64_t)(*p - '0');
	if (content == NULL || end - content < WS_TEXT_STAMP ||
	    !get_hex(content, WS_TEXT_STAMP, &m->stamp))
		m->stamp = 0;
	return true;
}

bool
ws_text_request(const char *text, size_t len, uint32_t *request)
{
	const char *end = text + len, *p;
	uint64_t v;

	p = FIND(text, end, "\"request_id\":\"");
	if (p == NULL || end - p < 8 || !get_hex(p, 8, &v))
		return false;
	*request = (uint32_t)v;
	return true;
}

unsigned
ws_text_slot(const char *text, size_t len)
{
	const char *end = text + len, *p;
	unsigned slot = 0;

	p = FIND(text, end, "\"session_id\":\"");
	for (; p != NULL && p < end && *p >= '0' && *p <= '9'; p++)
		slot = slot * 10 + (unsigned)(*p - '0');
	return slot;
}
