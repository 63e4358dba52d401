/* SPDX-License-Identifier: MIT */
/*
 * Frames of the chat protocol, as cheaply as a generator can: sent ones are
 * patched copies of a template, received ones are searched for the few
 * fields that matter.
 */
#ifndef BENCH_WS_TEXT_H
#define BENCH_WS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WS_TEXT_ROOM_LEN 27 /* "room_" and its token */
#define WS_TEXT_STAMP 16    /* hexadecimal digits */

/* A send_message frame, its variable parts at fixed places. */
struct ws_template {
	char *text;
	size_t len;
	size_t request;   /* 8 hexadecimal digits */
	size_t stamp;     /* 16: when it was sent */
	size_t client_id; /* 16; 0 = there is none */
};

/* size = bytes of content, at least 16. */
void ws_template_init(struct ws_template *t, const char *room, unsigned size,
    bool client_ids);
void ws_template_free(struct ws_template *t);

/* Bytes ws_text_frame() writes for a payload of len bytes. */
size_t ws_text_frame_size(size_t len);
/* Writes a masked frame; returns its size. */
size_t ws_text_frame(uint8_t *out, uint8_t opcode, const void *payload,
    size_t len);
/* The same of a template, filled in. */
size_t ws_text_send(const struct ws_template *t, uint8_t *out, uint32_t request,
    uint64_t stamp, uint64_t client_id);

/* True when the frame's "type" is this one. */
bool ws_text_is(const char *text, size_t len, const char *type);

struct ws_text_message {
	uint64_t seq;
	uint64_t stamp;   /* 0 = not one of ours */
	const char *room; /* WS_TEXT_ROOM_LEN bytes */
};
/* Of a `message` frame; false when it has no seq or room. */
bool ws_text_message(const char *text, size_t len, struct ws_text_message *m);
/* The worker's slot, of a `welcome` frame. */
unsigned ws_text_slot(const char *text, size_t len);
/* Of a `message.sent` or `error` frame; false without a request_id. */
bool ws_text_request(const char *text, size_t len, uint32_t *request);

#endif
