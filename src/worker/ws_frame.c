/* SPDX-License-Identifier: MIT */
/*
 * The WebSocket frame codec of a server: reads masked client frames, writes
 * headers of unmasked ones, and knows the handshake's hash.  Workers run it
 * on every byte that a client sends after its upgrade.  It must not allocate,
 * do I/O, or read past the bytes that it is given.
 */
#include "ws_frame.h"

#include <limits.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <string.h>

#include "../common/utf8.h"

#define FIN_BIT 0x80
#define RESERVED_BITS 0x70
#define OPCODE_BITS 0x0f
#define CONTROL_BIT 0x08
#define MASK_BIT 0x80
#define LENGTH_BITS 0x7f
#define LENGTH_16 126
#define LENGTH_64 127
#define CONTROL_MAX 125
#define MASK_SIZE 4

static const char accept_guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

#define KEY_SIZE 24
#define KEY_DIGITS 22

/* Is the first byte of a frame in its place?  0 or a close code. */
static int
check_opcode(const struct ws_codec *c, uint8_t first)
{
	bool fin = first & FIN_BIT;

	if (first & RESERVED_BITS)
		return WS_CLOSE_PROTOCOL;
	switch (first & OPCODE_BITS) {
	case WS_CONTINUATION:
		return c->in_message ? 0 : WS_CLOSE_PROTOCOL;
	case WS_TEXT:
		return c->in_message ? WS_CLOSE_PROTOCOL : 0;
	case WS_BINARY:
		return c->in_message ? WS_CLOSE_PROTOCOL : WS_CLOSE_UNSUPPORTED;
	case WS_CLOSE:
	case WS_PING:
	case WS_PONG:
		return fin ? 0 : WS_CLOSE_PROTOCOL;
	default:
		return WS_CLOSE_PROTOCOL;
	}
}

/*
 * Reads the payload's length.  Returns the bytes of header before the mask,
 * 0 when they are not all there yet, -close code.
 */
static int
read_length(const uint8_t *p, size_t len, uint64_t *out)
{
	uint64_t v = 0;
	int bytes, i;

	if (!(p[1] & MASK_BIT))
		return -WS_CLOSE_PROTOCOL;
	v = p[1] & LENGTH_BITS;
	if ((p[0] & CONTROL_BIT) && v > CONTROL_MAX)
		return -WS_CLOSE_PROTOCOL;
	if (v < LENGTH_16) {
		*out = v;
		return 2;
	}
	bytes = v == LENGTH_16 ? 2 : 8;
	if (len < 2 + (size_t)bytes)
		return 0;
	for (v = 0, i = 0; i < bytes; i++)
		v = v << 8 | p[2 + i];
	if (bytes == 2 ? v < LENGTH_16 : v <= UINT16_MAX || v > INT64_MAX)
		return -WS_CLOSE_PROTOCOL;
	*out = v;
	return 2 + bytes;
}

static void
unmask(uint8_t *p, size_t len, const uint8_t mask[MASK_SIZE])
{
	uint8_t twice[8];
	uint64_t key, word;
	size_t i;

	memcpy(twice, mask, MASK_SIZE);
	memcpy(twice + MASK_SIZE, mask, MASK_SIZE);
	memcpy(&key, twice, sizeof(key));
	for (i = 0; i + sizeof(word) <= len; i += sizeof(word)) {
		memcpy(&word, p + i, sizeof(word));
		word ^= key;
		memcpy(p + i, &word, sizeof(word));
	}
	for (; i < len; i++)
		p[i] ^= mask[i % MASK_SIZE];
}

/* Keeps account of the message that a data frame begins or goes on with. */
static void
follow_message(struct ws_codec *c, const struct ws_frame *f)
{
	if (f->opcode & CONTROL_BIT)
		return;
	if (f->fin) {
		memset(c, 0, sizeof(*c));
		return;
	}
	if (f->opcode != WS_CONTINUATION) {
		c->in_message = true;
		c->message_opcode = f->opcode;
		c->message_len = 0;
	}
	c->message_len += f->len;
}

long
ws_frame_parse(struct ws_codec *c, uint8_t *p, size_t len, size_t payload_max,
    struct ws_frame *out, size_t *need)
{
	uint64_t payload;
	size_t header;
	int n;

	*need = 0;
	if (len == 0)
		return 0;
	n = check_opcode(c, p[0]);
	if (n != 0)
		return -n;
	if (len < 2)
		return 0;
	n = read_length(p, len, &payload);
	if (n <= 0)
		return n;
	if (!(p[0] & CONTROL_BIT) &&
	    (payload > payload_max || c->message_len > payload_max - payload))
		return -WS_CLOSE_TOO_BIG;
	header = (size_t)n + MASK_SIZE;
	/* A huge limit must not wrap the sum. */
	if (payload > LONG_MAX - header)
		return -WS_CLOSE_TOO_BIG;
	*need = header + (size_t)payload;
	if (len < *need)
		return 0;
	out->fin = p[0] & FIN_BIT;
	out->opcode = p[0] & OPCODE_BITS;
	out->payload = p + header;
	out->len = (size_t)payload;
	unmask(out->payload, out->len, p + n);
	follow_message(c, out);
	return (long)*need;
}

size_t
ws_frame_header(uint8_t out[WS_HEADER_MAX], enum ws_opcode opcode, uint64_t len)
{
	int i;

	out[0] = FIN_BIT | (uint8_t)opcode;
	if (len < LENGTH_16) {
		out[1] = (uint8_t)len;
		return 2;
	}
	if (len <= UINT16_MAX) {
		out[1] = LENGTH_16;
		out[2] = (uint8_t)(len >> 8);
		out[3] = (uint8_t)len;
		return 4;
	}
	out[1] = LENGTH_64;
	for (i = 0; i < 8; i++)
		out[2 + i] = (uint8_t)(len >> (56 - 8 * i));
	return WS_HEADER_MAX;
}

size_t
ws_frame_header_len(const uint8_t *frame)
{
	switch (frame[1]) {
	case 127:
		return 10;
	case 126:
		return 4;
	default:
		return 2;
	}
}

int
ws_close_parse(const uint8_t *payload, size_t len)
{
	int code;

	if (len == 0)
		return WS_CLOSE_NO_STATUS;
	if (len == 1)
		return WS_CLOSE_PROTOCOL;
	code = payload[0] << 8 | payload[1];
	/* 1004 is reserved; 1005, 1006 and 1015 never travel; 1012 to 1014
	 * came by IANA's registry after the RFC. */
	if (!((code >= 1000 && code <= 1003) ||
		(code >= 1007 && code <= 1014) ||
		(code >= 3000 && code <= 4999)))
		return WS_CLOSE_PROTOCOL;
	if (!utf8_valid((const char *)payload + 2, len - 2))
		return WS_CLOSE_BAD_DATA;
	return code;
}

static bool
is_base64(char ch)
{
	return (ch >= 'A' && ch <= 'Z') || (ch >= 'a' && ch <= 'z') ||
	    (ch >= '0' && ch <= '9') || ch == '+' || ch == '/';
}

bool
ws_accept_key(const char *key, char out[WS_ACCEPT_SIZE])
{
	unsigned char digest[SHA_DIGEST_LENGTH];
	unsigned char text[KEY_SIZE + sizeof(accept_guid) - 1];
	size_t i;

	if (strnlen(key, KEY_SIZE + 1) != KEY_SIZE ||
	    strcmp(key + KEY_DIGITS, "==") != 0)
		return false;
	for (i = 0; i < KEY_DIGITS; i++)
		if (!is_base64(key[i]))
			return false;
	memcpy(text, key, KEY_SIZE);
	memcpy(text + KEY_SIZE, accept_guid, sizeof(accept_guid) - 1);
	if (SHA1(text, sizeof(text), digest) == NULL)
		return false;
	return EVP_EncodeBlock((unsigned char *)out, digest, sizeof(digest)) ==
	    WS_ACCEPT_SIZE - 1;
}
