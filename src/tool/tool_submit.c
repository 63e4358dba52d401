/* SPDX-License-Identifier: MIT */
/*
 * Carries out an operator's operation: through the control socket of the
 * running server, or, when none runs, by becoming the writer under the same
 * lock.  There are never two writers on one database.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/clock.h"
#include "../common/config.h"
#include "../common/identity.h"
#include "../common/link.h"
#include "../common/secret.h"
#include "../common/unix_sock.h"
#include "../master/lock.h"
#include "../writer/store.h"
#include "tool_int.h"

#define DEADLINE_MS 10000
#define ANSWER_MS 15000
/* How long a server may take between taking the lock and listening, or the
 * other way round. */
#define CONNECT_MS 8000
#define LOCK_STEP_MS 200

struct op_head
tool_head(struct tool *t)
{
	struct op_head h = { .op = 1, .low = 1 };

	buf_clear(&t->op);
	h.deadline_ms = clock_mono_ms() + DEADLINE_MS;
	return h;
}

static int
tool_record(struct link *l, const struct wire_record *rec, void *arg)
{
	struct tool *t = arg;
	struct rec_control control;

	(void)l;
	buf_clear(&t->answer);
	if (rec->type == REC_CONTROL_REPLY) {
		if (rec_control_get(rec, &control) == -1)
			return -1;
		rec = &control.inner;
	}
	return buf_add(&t->answer, rec->whole, rec->whole_len);
}

static const struct link_ops tool_link_ops = { .record = tool_record };

int
tool_connect_server(struct tool *t)
{
	const char *db = t->config->dsn.path;
	char *path = lock_beside(db, LOCK_CONTROL_SUFFIX);
	int fd = unix_connect(path), result = -1;

	if (fd != -1) {
		t->link = link_new(NULL, fd, WIRE_RECORD_MAX + WIRE_HEADER,
		    &tool_link_ops, t);
		result = 1;
	} else if (errno == ENOENT || errno == ECONNREFUSED)
		result = 0;
	else if (errno == EACCES || errno == EPERM)
		(void)tool_error("cannot use the control socket %s: %s (run "
				 "this as the server's user)",
		    path, strerror(errno));
	else
		(void)tool_error("cannot use the control socket %s: %s", path,
		    strerror(errno));
	free(path);
	return result;
}

static void
tool_be_root_again(struct tool *t)
{
	if (t->became)
		identity_back();
	t->became = false;
}

void
tool_step_out(const struct tool *t)
{
	if (t->became)
		identity_back();
}

int
tool_step_in(const struct tool *t)
{
	if (!t->became || identity_become(&t->owner) == 0)
		return 0;
	(void)tool_error("cannot become user %s again: %s", t->owner.name,
	    strerror(errno));
	return -1;
}

/*
 * Root writes as the server's user, or the server could not use what it has
 * made.  Only while it writes: what a command reads or makes elsewhere is
 * root's business.
 */
static int
tool_become_owner(struct tool *t)
{
	const char *db = t->config->dsn.path;
	struct identity id;
	char err[200];

	if (geteuid() != 0)
		return 0;
	if (t->config->user != NULL) {
		if (identity_find(&id, t->config->user, err, sizeof(err)) == -1)
			return tool_error("%s", err), -1;
	} else if (identity_owner(&id, db) == -1)
		return 0;
	if (id.uid == 0)
		return 0;
	if (identity_become(&id) == 0) {
		t->became = true;
		t->owner = id;
		return 0;
	}
	(void)tool_error("cannot become user %s: %s", id.name, strerror(errno));
	return -1;
}

/* 1 we are the writer, 0 another has the lock, -1 failed. */
static int
tool_become_writer(struct tool *t)
{
	const char *db = t->config->dsn.path;
	char err[512];

	if (tool_become_owner(t) == -1)
		return -1;
	t->lock_fd = lock_take(db, LOCK_STEP_MS, err, sizeof(err));
	if (t->lock_fd == -1) {
		if (errno == EWOULDBLOCK) {
			tool_be_root_again(t);
			return 0;
		}
		(void)tool_error("%s", err);
		return -1;
	}
	t->store = store_open(&t->config->dsn, err, sizeof(err));
	if (t->store == NULL) {
		(void)tool_error("%s", err);
		return -1;
	}
	t->secrets = secret_new(t->config->key_file, db);
	store_secrets(t->store, t->secrets);
	return 1;
}

int
tool_connect(struct tool *t)
{
	const char *db = t->config->dsn.path;
	uint64_t until = clock_mono_ms() + CONNECT_MS;
	int rc;

	if (t->link != NULL || t->store != NULL)
		return 0;
	if (!t->may_create && access(db, F_OK) == -1 && errno == ENOENT) {
		(void)tool_error("there is no database %s%s", db,
		    t->create_option ? "; --create makes it" : "");
		return -1;
	}
	do {
		if ((rc = tool_connect_server(t)) == 0)
			rc = tool_become_writer(t);
		if (rc != 0)
			return rc == 1 ? 0 : -1;
	} while (clock_mono_ms() < until);
	(void)tool_error(
	    "database %s is in use by another chatapi that does "
	    "not answer: a server that starts or stops, or another command; "
	    "try again",
	    db);
	return -1;
}

int
tool_lock(struct tool *t, bool stay)
{
	char err[512];
	int saved;

	if (tool_become_owner(t) == -1)
		return -1;
	t->lock_fd = lock_take(t->config->dsn.path, LOCK_STEP_MS, err,
	    sizeof(err));
	saved = errno;
	if (t->lock_fd == -1 || !stay)
		tool_be_root_again(t);
	if (t->lock_fd != -1)
		return 1;
	if (saved == EWOULDBLOCK)
		return 0;
	(void)tool_error("%s", err);
	return -1;
}

void
tool_disconnect(struct tool *t)
{
	link_free(t->link);
	store_close(t->store);
	secret_free(t->secrets);
	if (t->lock_fd != -1)
		(void)close(t->lock_fd);
	t->link = NULL;
	t->store = NULL;
	t->secrets = NULL;
	t->lock_fd = -1;
	tool_be_root_again(t);
}

static int
tool_ask_server(struct tool *t)
{
	if (buf_add(link_out(t->link), buf_head(&t->op), t->op.len) == 0 &&
	    link_wait(t->link, ANSWER_MS) == 0 && t->answer.len > 0)
		return 0;
	(void)tool_error("the server did not answer (%s); whether it was "
			 "done is not known",
	    strerror(errno));
	return -1;
}

static int
tool_apply(struct tool *t)
{
	enum store_result result;
	struct wire_record op;
	struct buf events;

	buf_init(&events, 2 * WIRE_RECORD_MAX);
	buf_clear(&t->answer);
	if (wire_next((const uint8_t *)buf_head(&t->op), t->op.len, &op) <= 0)
		abort();
	if ((result = store_begin(t->store)) == STORE_OK)
		result = store_apply(t->store, 0, &op, &t->answer, &events);
	if (result == STORE_OK)
		result = store_commit(t->store);
	buf_free(&events);
	if (result == STORE_OK)
		return 0;
	(void)tool_error(result == STORE_FATAL ?
		"the disk failed; whether it was done is not known" :
		"the database cannot be written");
	return -1;
}

int
tool_exchange(struct tool *t, struct rec_reply *reply)
{
	struct wire_record rec;

	if (t->op.len == 0 || t->op.failed) {
		(void)tool_error("argument too long");
		return -1;
	}
	if (tool_connect(t) == -1 ||
	    (t->link != NULL ? tool_ask_server(t) : tool_apply(t)) == -1)
		return -1;
	if (wire_next((const uint8_t *)buf_head(&t->answer), t->answer.len,
		&rec) <= 0 ||
	    rec.type != REC_REPLY || rec_reply_get(&rec, reply) == -1) {
		(void)tool_error("the server's answer is malformed (is it "
				 "another version?)");
		return -1;
	}
	return 0;
}

int
tool_submit(struct tool *t, struct rec_reply *reply)
{
	if (tool_exchange(t, reply) == -1)
		return -1;
	if (reply->outcome == OUTCOME_OK || reply->outcome == OUTCOME_REPEATED)
		return 0;
	if (reply->outcome == OUTCOME_SECRETS) {
		(void)tool_error("the key file that secrets are sealed under "
				 "cannot be used; nothing was stored%s",
		    t->link != NULL ? " (the server's log says why)" : "");
		return -1;
	}
	/* The table's sentence speaks of messages. */
	if (reply->outcome == OUTCOME_UNKNOWN)
		(void)tool_error("the server cannot say whether this was "
				 "done; look with `tenant list' or "
				 "`key list' before trying again");
	else
		(void)tool_error("%s", outcome_info(reply->outcome)->message);
	return -1;
}
