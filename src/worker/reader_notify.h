/* SPDX-License-Identifier: MIT */
/* The part of the worker's reader that looks at inboxes and subscriptions;
 * what holds of all of it is said in reader.h. */
#ifndef WORKER_READER_NOTIFY_H
#define WORKER_READER_NOTIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../common/notify_text.h"

struct reader;

/* Whether the tenant knows the user. */
int reader_user_known(struct reader *r, uint64_t tenant, const char *user,
    size_t user_len);
/* The highest inbox id given out so far, to whomever. */
int reader_inbox_head(struct reader *r, uint64_t *head);

/* What the user has not acknowledged, in order of inbox ids, above `after`.
 * fn returns false to stop. */
typedef bool reader_inbox_fn(uint64_t id, const struct notify_text *t,
    void *arg);
int reader_inbox(struct reader *r, uint64_t tenant, const char *user,
    size_t user_len, uint64_t after, unsigned limit, reader_inbox_fn *fn,
    void *arg);

struct reader_subscription {
	struct str token;
	struct str topic;
	int64_t created_ms;
};
/* The user's, in order of topics, above `after` (empty = from the start). */
typedef bool reader_subscription_fn(const struct reader_subscription *s,
    void *arg);
int reader_subscriptions(struct reader *r, uint64_t tenant, const char *user,
    size_t user_len, struct str after, unsigned limit,
    reader_subscription_fn *fn, void *arg);

#endif
