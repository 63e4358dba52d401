/* SPDX-License-Identifier: MIT */
/*
 * Arguments of REST requests: the JSON body as a whole, lists of users,
 * limits and cursors.  What frames have in common with them is in fields.h.
 */
#ifndef WORKER_API_ARGS_H
#define WORKER_API_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../common/records.h"
#include "fields.h"

struct buf;
struct http_request;
struct json_object;
struct json_tokener;

#define API_USERS_MAX 1000

/* ---- pure ---- */
/* A parser with the right flags; reused for many bodies. */
struct json_tokener *api_args_tokener(void);
/* One strict JSON object, new in *out.  0, or -1 with *err. */
int api_args_parse(struct json_tokener *t, const char *p, size_t len,
    struct json_object **out, struct field_error *err)
    __attribute__((warn_unused_result));
/*
 * A list of users' ids under that name, each once, in the order given, into
 * list (API_USERS_MAX entries); absent = none.  0, or -1 with *err.
 */
int api_args_users(struct json_object *o, const char *name, struct str *list,
    uint32_t *n, struct field_error *err) __attribute__((warn_unused_result));
/* One user's id; required. */
int api_args_user(struct json_object *o, const char *name, struct str *out,
    struct field_error *err) __attribute__((warn_unused_result));
/* Digits as a number, the most that fits an int64_t for more; -1 for
 * anything else. */
int api_args_number(const char *s, uint64_t *out)
    __attribute__((warn_unused_result));
/* A cursor of up to max bytes of `kind`; the reverse is -1 for any text that
 * is none. */
void api_args_cursor_put(struct buf *b, char kind, const void *p, size_t len);
int api_args_cursor_get(const char *text, char kind, void *p, size_t max,
    size_t *len) __attribute__((warn_unused_result));

/* ---- of a request; each answers 400 itself and returns false ---- */
/* ?limit=; 0 is refused, more than most counts as most. */
bool api_args_limit(struct http_request *q, unsigned def, unsigned most,
    unsigned *out) __attribute__((warn_unused_result));
/* ?cursor=, absent = *len 0. */
bool api_args_cursor(struct http_request *q, char kind, void *p, size_t max,
    size_t *len) __attribute__((warn_unused_result));
/* Answers 400 for a field_error. */
void api_args_refuse(struct http_request *q, const struct field_error *err);

/* ---- common ends ---- */
/* Answers for an outcome that is no success (abandons an unknown one). */
void api_refuse(struct http_request *q, enum outcome o);
/* A submit_cb, its arg the request: 204 for success. */
void api_done_empty(const struct rec_reply *reply, void *arg);
struct submit_op;
/* The operation could not be handed over when op is NULL: answers so. */
void api_submitted(struct http_request *q, struct submit_op *op);

#endif
