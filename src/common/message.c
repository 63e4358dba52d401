/* SPDX-License-Identifier: MIT */
/* The JSON forms of a message.  Pure; run by the writer and the workers. */
#include "message.h"

#include <stdbool.h>

#include "buf.h"
#include "json_text.h"

static void
message_tail(struct buf *b, const struct message *m)
{
	if (m->rev > 0) {
		buf_add(b, ",\"rev\":", 7);
		buf_add_u64(b, m->rev);
	}
	if (m->edited_ms != 0 && m->deleted_ms == 0) {
		buf_add(b, ",\"edited_at\":", 13);
		json_text_time(b, m->edited_ms);
	}
	if (m->deleted_ms != 0) {
		buf_add(b, ",\"deleted_at\":", 14);
		json_text_time(b, m->deleted_ms);
	}
	buf_add(b, "}", 1);
}

static void
message_id(struct buf *b, const struct message *m)
{
	char id[ID_MESSAGE_SIZE];

	id_message(id, m->room_token, m->created_ms, m->seq);
	buf_adds(b, "\"message_id\":\"");
	buf_add(b, id, ID_MESSAGE_SIZE - 1);
	buf_add(b, "\"", 1);
}

static void
message_head_frame(struct buf *b, const struct message *m)
{
	buf_adds(b, "{\"type\":\"message\",\"room_id\":\"room_");
	buf_add(b, m->room_token, ID_TOKEN_LEN);
	buf_adds(b, "\",");
	message_id(b, m);
	buf_adds(b, ",\"seq\":");
	buf_add_u64(b, m->seq);
	buf_adds(b, ",\"sender_id\":");
	json_text_string(b, m->sender, m->sender_len);
}

static void
message_head_rest(struct buf *b, const struct message *m)
{
	buf_adds(b, "{");
	message_id(b, m);
	buf_adds(b, ",\"room_id\":\"room_");
	buf_add(b, m->room_token, ID_TOKEN_LEN);
	buf_adds(b, "\",\"sender_id\":");
	json_text_string(b, m->sender, m->sender_len);
	buf_adds(b, ",\"seq\":");
	buf_add_u64(b, m->seq);
}

static void
message_json_change(struct buf *b, const struct message *m)
{
	bool deleted = m->deleted_ms != 0;

	buf_adds(b, "{\"type\":\"message.");
	buf_adds(b, deleted ? "deleted" : "edited");
	buf_adds(b, "\",\"room_id\":\"room_");
	buf_add(b, m->room_token, ID_TOKEN_LEN);
	buf_adds(b, "\",");
	message_id(b, m);
	buf_adds(b, ",\"seq\":");
	buf_add_u64(b, m->seq);
	buf_adds(b, ",\"rev\":");
	buf_add_u64(b, m->rev);
	if (!deleted) {
		buf_adds(b, ",\"sender_id\":");
		json_text_string(b, m->sender, m->sender_len);
		buf_adds(b, ",\"content\":");
		json_text_string(b, m->content, m->content_len);
		buf_adds(b, ",\"edited_at\":");
		json_text_time(b, m->edited_ms);
	}
	buf_adds(b, "}");
}

void
message_json(struct buf *b, const struct message *m, enum message_form form)
{
	if (form == MESSAGE_CHANGE) {
		message_json_change(b, m);
		return;
	}
	if (form == MESSAGE_FRAME)
		message_head_frame(b, m);
	else
		message_head_rest(b, m);
	if (m->deleted_ms == 0) {
		buf_adds(b, ",\"content\":");
		json_text_string(b, m->content, m->content_len);
		if (m->meta != NULL && m->meta_len > 0) {
			buf_adds(b, ",\"meta\":");
			buf_add(b, m->meta, m->meta_len);
		}
	}
	buf_adds(b, ",\"created_at\":");
	json_text_time(b, m->created_ms);
	message_tail(b, m);
}

void
message_json_own(struct buf *b, const char *text, size_t len,
    const char *client_msg_id, size_t client_msg_id_len)
{
	if (len < 2 || text[len - 1] != '}') {
		b->failed = true;
		return;
	}
	buf_add(b, text, len - 1);
	buf_adds(b, ",\"client_msg_id\":");
	json_text_string(b, client_msg_id, client_msg_id_len);
	buf_add(b, "}", 1);
}
