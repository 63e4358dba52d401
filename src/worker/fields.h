/* SPDX-License-Identifier: MIT */
/*
 * The members that REST bodies and WebSocket frames share, checked by one
 * set of rules.  Strings stay inside the json_object they came from.
 */
#ifndef WORKER_FIELDS_H
#define WORKER_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../common/records.h"

struct json_object;

#define FIELD_CONTENT_MAX (16 * 1024)
#define FIELD_META_MAX (16 * 1024)
#define FIELD_META_DEPTH 32
#define FIELD_CLIENT_MSG_ID_MAX 128
#define FIELD_TOPIC_MAX 128

/* What is wrong with a request: constant strings. */
struct field_error {
	const char *field;
	const char *message;
};

/* 0, or -1 with *err filled in.  An absent optional member gives len 0. */
int field_content(struct json_object *o, struct str *out,
    struct field_error *err) __attribute__((warn_unused_result));
int field_client_msg_id(struct json_object *o, struct str *out,
    struct field_error *err) __attribute__((warn_unused_result));
/*
 * Any JSON value under that name (meta, metadata), as its text: at most
 * FIELD_META_MAX bytes and FIELD_META_DEPTH deep; null counts as absent.
 */
int field_json(struct json_object *o, const char *name, struct str *out,
    struct field_error *err) __attribute__((warn_unused_result));
/* Any JSON value under "payload", as above; null is a value like others, but
 * it must be there. */
int field_payload(struct json_object *o, struct str *out,
    struct field_error *err) __attribute__((warn_unused_result));
/* "topic": 1 to 128 bytes without control characters. */
int field_topic(struct json_object *o, struct str *out, struct field_error *err)
    __attribute__((warn_unused_result));
/* A required integer, not negative; above INT64_MAX it counts as that. */
int field_seq(struct json_object *o, const char *name, uint64_t *out,
    struct field_error *err) __attribute__((warn_unused_result));
/* A required string of 1 to max bytes; too_long is the sentence for more. */
int field_string(struct json_object *o, const char *name, size_t max,
    struct str *out, struct field_error *err)
    __attribute__((warn_unused_result));

#endif
