/* SPDX-License-Identifier: MIT */
/* A stored message and its JSON forms, one formatter for writer and workers. */
#ifndef COMMON_MESSAGE_H
#define COMMON_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "ids.h"

struct buf;

/* All pointers are borrowed and not NUL-terminated. */
struct message {
	const char *room_token; /* ID_TOKEN_LEN bytes */
	uint64_t seq;
	uint64_t rev; /* 0 = never changed */
	int64_t created_ms;
	int64_t edited_ms;  /* 0 = not edited */
	int64_t deleted_ms; /* 0 = alive; else content and meta are gone */
	const char *sender;
	size_t sender_len;
	const char *content;
	size_t content_len;
	const char *meta; /* JSON text; NULL = absent */
	size_t meta_len;
	const char *client_msg_id; /* NULL = none */
	size_t client_msg_id_len;
};

enum message_form {
	MESSAGE_REST,  /* the object of GET and POST …/messages */
	MESSAGE_FRAME, /* the WebSocket frame, "type":"message" first */
	MESSAGE_CHANGE /* the frame message.edited, or message.deleted */
};

/*
 * Adds the JSON object.  client_msg_id is left out in all forms; see
 * message_json_own().
 */
void message_json(struct buf *b, const struct message *m,
    enum message_form form);
/*
 * Rewrites a finished frame text for the sender's own connections: adds
 * "client_msg_id" before the closing brace.
 */
void message_json_own(struct buf *b, const char *text, size_t len,
    const char *client_msg_id, size_t client_msg_id_len);

#endif
