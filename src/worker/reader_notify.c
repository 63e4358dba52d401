/* SPDX-License-Identifier: MIT */
/*
 * Inboxes and subscriptions of users.  Read-only; runs in a worker.
 */
#include "reader_notify.h"

#include "reader_int.h"

int
reader_user_known(struct reader *r, uint64_t tenant, const char *user,
    size_t user_len)
{
	sqlite3_stmt *s = reader_statement(r, READER_USER_KNOWN);

	if (s == NULL)
		return -1;
	sqlite3_bind_int64(s, 1, (sqlite3_int64)tenant);
	reader_bind_text(s, 2, user, user_len);
	return reader_reset(s, reader_step(r, s));
}

int
reader_inbox_head(struct reader *r, uint64_t *head)
{
	sqlite3_stmt *s = reader_statement(r, READER_INBOX_HEAD);
	int rc;

	*head = 0;
	if (s == NULL)
		return -1;
	rc = reader_step(r, s);
	if (rc == 1)
		*head = (uint64_t)sqlite3_column_int64(s, 0);
	return reader_reset(s, rc);
}

int
reader_inbox(struct reader *r, uint64_t tenant, const char *user,
    size_t user_len, uint64_t after, unsigned limit, reader_inbox_fn *fn,
    void *arg)
{
	sqlite3_stmt *s = reader_statement(r, READER_INBOX);
	struct notify_text t;
	int rc, found = 0;

	if (s == NULL)
		return -1;
	sqlite3_bind_int64(s, 1, (sqlite3_int64)tenant);
	reader_bind_text(s, 2, user, user_len);
	sqlite3_bind_int64(s, 3, (sqlite3_int64)after);
	sqlite3_bind_int64(s, 4, limit);
	while ((rc = reader_step(r, s)) == 1) {
		found = 1;
		t.token = reader_column(s, 1);
		t.topic = reader_column(s, 2);
		t.payload = reader_column(s, 3);
		t.created_ms = sqlite3_column_int64(s, 4);
		if (!fn((uint64_t)sqlite3_column_int64(s, 0), &t, arg))
			break;
	}
	return reader_reset(s, rc == -1 ? -1 : found);
}

int
reader_subscriptions(struct reader *r, uint64_t tenant, const char *user,
    size_t user_len, struct str after, unsigned limit,
    reader_subscription_fn *fn, void *arg)
{
	sqlite3_stmt *s = reader_statement(r, READER_SUBSCRIPTIONS);
	struct reader_subscription row;
	int rc, found = 0;

	if (s == NULL)
		return -1;
	sqlite3_bind_int64(s, 1, (sqlite3_int64)tenant);
	reader_bind_text(s, 2, user, user_len);
	reader_bind_text(s, 3, after.p, after.len);
	sqlite3_bind_int64(s, 4, limit);
	while ((rc = reader_step(r, s)) == 1) {
		found = 1;
		row.token = reader_column(s, 0);
		row.topic = reader_column(s, 1);
		row.created_ms = sqlite3_column_int64(s, 2);
		if (!fn(&row, arg))
			break;
	}
	return reader_reset(s, rc == -1 ? -1 : found);
}
