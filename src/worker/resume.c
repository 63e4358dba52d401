/* SPDX-License-Identifier: MIT */
/*
 * Waiting for a device's `resume` and keeping its cursors until each room
 * has a feed that starts there.  Runs in a worker; reads no database.
 */
#include "resume.h"

#include <event2/event.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "../common/mem.h"
#include "feed.h"
#include "fields.h"
#include "worker.h"
#include "ws_command.h"
#include "ws_conn.h"
#include "ws_list.h"

struct resume {
	struct event *timer;           /* while the frame is waited for */
	struct resume_cursor *cursors; /* by rising token */
	size_t count;
	size_t id_len;
	char id[REQUEST_ID_TEXT];
};

static void
resume_begin(struct ws_conn *c)
{
	event_free(c->resume->timer);
	c->resume->timer = NULL;
	feed_connect(c);
}

static void
resume_late(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	resume_begin(arg);
}

void
resume_wait(struct ws_conn *c)
{
	uint64_t ms = c->w->config.resume_wait_ms;
	struct timeval tv = { (time_t)(ms / 1000),
		(suseconds_t)(ms % 1000 * 1000) };

	c->resume = mem_alloc(sizeof(*c->resume));
	c->resume->timer = evtimer_new(c->w->base, resume_late, c);
	if (c->resume->timer == NULL ||
	    evtimer_add(c->resume->timer, &tv) == -1)
		abort();
}

bool
resume_waiting(const struct ws_conn *c)
{
	return c->resume != NULL && c->resume->timer != NULL;
}

static int
cursor_compare(const void *a, const void *b)
{
	const struct resume_cursor *x = a, *y = b;

	return memcmp(x->token, y->token, ID_TOKEN_LEN);
}

const struct resume_cursor *
resume_find(const struct ws_conn *c, const char *token)
{
	struct resume_cursor key;

	if (c->resume == NULL || c->resume->count == 0)
		return NULL;
	memcpy(key.token, token, ID_TOKEN_LEN);
	return bsearch(&key, c->resume->cursors, c->resume->count, sizeof(key),
	    cursor_compare);
}

struct str
resume_request_id(const struct ws_conn *c)
{
	if (c->resume == NULL)
		return (struct str){ "", 0 };
	return (struct str){ c->resume->id, c->resume->id_len };
}

void
resume_listed(struct ws_conn *c)
{
	if (c->resume == NULL)
		return;
	free(c->resume->cursors);
	c->resume->cursors = NULL;
	c->resume->count = 0;
}

void
resume_free(struct ws_conn *c)
{
	if (c->resume == NULL)
		return;
	if (c->resume->timer != NULL)
		event_free(c->resume->timer);
	free(c->resume->cursors);
	free(c->resume);
	c->resume = NULL;
}

/* One member of `cursors`; -1 when it is no cursor.  What cannot be a room's
 * id is ignored like a room that is not there. */
static int
resume_cursor(const char *id, struct json_object *v, struct resume_cursor *out,
    bool *known, struct field_error *e)
{
	const char *token = id_token_of(id, strlen(id), "room_");
	struct json_object *rev;

	if (!json_object_is_type(v, json_type_object)) {
		e->field = "cursors";
		e->message = "cursors must map each room_id to an object "
			     "with seq and, if known, rev.";
		return -1;
	}
	if (field_seq(v, "seq", &out->seq, e) == -1)
		return -1;
	out->rev = 0;
	out->has_rev = json_object_object_get_ex(v, "rev", &rev) && rev != NULL;
	if (out->has_rev && field_seq(v, "rev", &out->rev, e) == -1)
		return -1;
	*known = token != NULL;
	if (*known)
		memcpy(out->token, token, ID_TOKEN_LEN);
	return 0;
}

/* Reads `cursors` into the connection's; -1 with *e filled in. */
static int
resume_cursors(struct resume *r, struct json_object *o, struct field_error *e)
{
	struct json_object *cursors;
	bool known;

	if (!json_object_object_get_ex(o, "cursors", &cursors) ||
	    !json_object_is_type(cursors, json_type_object)) {
		e->field = "cursors";
		e->message = "cursors must be an object of room ids.";
		return -1;
	}
	r->cursors = mem_alloc(((size_t)json_object_object_length(cursors) +
				   1) *
	    sizeof(*r->cursors));
	json_object_object_foreach(cursors, id, v) {
		if (resume_cursor(id, v, &r->cursors[r->count], &known, e) ==
		    -1) {
			free(r->cursors);
			r->cursors = NULL;
			r->count = 0;
			return -1;
		}
		r->count += known;
	}
	qsort(r->cursors, r->count, sizeof(*r->cursors), cursor_compare);
	return 0;
}

void
command_resume(struct command *m)
{
	struct ws_conn *c = m->c;
	struct field_error e;
	struct str epoch;
	const char *now = ws_list_epoch(c->w->ws);

	if (!resume_waiting(c)) {
		command_error(m, OUTCOME_INVALID, "type",
		    "resume is taken once, on /ws?resume=1, before anything "
		    "is sent from the log.",
		    0);
		return;
	}
	if (field_string(m->o, "epoch", 128, &epoch, &e) == -1 ||
	    resume_cursors(c->resume, m->o, &e) == -1) {
		command_field_error(m, &e);
		return;
	}
	if (epoch.len != strlen(now) || memcmp(epoch.p, now, epoch.len) != 0) {
		resume_listed(c);
		command_error(m, OUTCOME_RESYNC_REQUIRED, NULL, NULL, 0);
	} else {
		c->resume->id_len = m->id_len;
		memcpy(c->resume->id, m->id, m->id_len);
	}
	resume_begin(c);
}
