/* SPDX-License-Identifier: MIT */
/*
 * The frame codec of RFC 6455 section 5, server side: pure, no allocation,
 * no I/O.  Assembling fragments is the caller's: the codec tells him.
 */
#ifndef WORKER_WS_FRAME_H
#define WORKER_WS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ws_opcode {
	WS_CONTINUATION = 0x0,
	WS_TEXT = 0x1,
	WS_BINARY = 0x2,
	WS_CLOSE = 0x8,
	WS_PING = 0x9,
	WS_PONG = 0xa
};

/* Close codes (RFC 6455 section 7.4.1 and the contract). */
enum ws_close_code {
	WS_CLOSE_NORMAL = 1000,
	WS_CLOSE_PROTOCOL = 1002,
	WS_CLOSE_UNSUPPORTED = 1003,
	WS_CLOSE_NO_STATUS = 1005, /* never on the wire */
	WS_CLOSE_BAD_DATA = 1007,
	WS_CLOSE_POLICY = 1008,
	WS_CLOSE_TOO_BIG = 1009,
	WS_CLOSE_INTERNAL = 1011,
	WS_CLOSE_RESTART = 1012,
	WS_CLOSE_EXPIRED = 4103,
	WS_CLOSE_NOT_READING = 4108,
	WS_CLOSE_REVOKED = 4500,
	WS_CLOSE_DISABLED = 4505
};

struct ws_frame {
	bool fin;
	uint8_t opcode;   /* enum ws_opcode */
	uint8_t *payload; /* unmasked in place */
	size_t len;
};

/* State between frames of one connection; all zero at the start. */
struct ws_codec {
	bool in_message; /* a fragmented message has begun */
	uint8_t message_opcode;
	size_t message_len; /* of its fragments so far */
};

/*
 * Looks for one client frame at the front of len bytes; payload_max bounds a
 * whole message, its fragments together.  Returns the bytes it takes with
 * *out filled in and its payload unmasked; 0 when more bytes must come (then
 * *need says how many in all, when that is known, else 0); or
 * -enum ws_close_code when the connection must be failed: 1002 for reserved
 * bits or opcodes, an unmasked frame, a non-minimal length, a fragmented or
 * long control frame, a continuation out of place; 1003 for binary; 1009 for
 * too big.
 */
long ws_frame_parse(struct ws_codec *c, uint8_t *p, size_t len,
    size_t payload_max, struct ws_frame *out, size_t *need);

/* Header of an unmasked server frame, fin set; returns 2, 4 or 10. */
#define WS_HEADER_MAX 10
size_t ws_frame_header(uint8_t out[WS_HEADER_MAX], enum ws_opcode opcode,
    uint64_t len);

/* Length of the header at the front of such a frame. */
size_t ws_frame_header_len(const uint8_t *frame);

/*
 * Reads the payload of a close frame: the code to answer with.  No payload =
 * 1005; a bad code or one byte = 1002; a reason that is not UTF-8 = 1007.
 */
int ws_close_parse(const uint8_t *payload, size_t len);

/* Sec-WebSocket-Accept for a key of 24 base64 characters holding 16 bytes
 * (RFC 6455 section 4.2.2); false when the key is none. */
#define WS_ACCEPT_SIZE 29
bool ws_accept_key(const char *key, char out[WS_ACCEPT_SIZE]);

#endif
