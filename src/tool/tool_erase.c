/* SPDX-License-Identifier: MIT */
/*
 * chatapi user erase: has the writer take one person out of a tenant, and
 * waits until it is done.  Without a server it does so itself.  Killed, the
 * work goes on where it was, by the server or the next one.
 */
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "../writer/store.h"
#include "tool_int.h"

static const struct timespec look_pause = { 0, 50000000 };

static int
erase_ask(struct tool *t, enum record_type type, const char *token,
    const char *user, struct rec_reply *reply)
{
	struct rec_op_admin op = { .h = tool_head(t) };

	op.a = (struct str){ token, strlen(token) };
	op.b = (struct str){ user, strlen(user) };
	(void)rec_op_admin_put(&t->op, type, &op);
	return tool_exchange(t, reply);
}

/* A piece or a pause.  0, -1 failed. */
static int
erase_wait(struct tool *t)
{
	struct buf events;
	int rc = 0;

	if (t->store == NULL) {
		(void)nanosleep(&look_pause, NULL);
		return 0;
	}
	buf_init(&events, 64 * WIRE_RECORD_MAX);
	if (store_erase_pending(t->store) &&
	    store_erase(t->store, &events) != STORE_OK)
		rc = tool_error("the database cannot be written; run this "
				"again") == 1 ?
		    -1 :
		    0;
	store_maintain(t->store);
	buf_free(&events);
	return rc;
}

/* 0 done, with what was found in *found (NULL: nobody knows any more), 1 not. */
static int
erase_follow(struct tool *t, const char *token, const char *user,
    struct json_object **found)
{
	struct progress p;
	struct rec_reply r;
	int status = 1;

	progress_begin(&p, t, "erasing", false);
	for (;;) {
		if (erase_ask(t, REC_OP_USER_ERASING, token, user, &r) == -1)
			break;
		if (r.outcome == OUTCOME_OK && r.ms == 1) {
			if (r.text.len > 0)
				*found = tool_parse(&r);
			status = 0;
			break;
		}
		if (r.outcome == OUTCOME_OK)
			progress_show(&p, r.seq, r.room);
		else if (!outcome_info(r.outcome)->temporary &&
		    r.outcome != OUTCOME_UNKNOWN) {
			(void)tool_error("%s",
			    outcome_info(r.outcome)->message);
			break;
		}
		if (tool_stopped()) {
			(void)tool_error("not waiting any longer: the server "
					 "goes on with it");
			break;
		}
		if (erase_wait(t) == -1)
			break;
	}
	progress_end(&p);
	return status;
}

static void
erase_report(const struct tool *t, const char *user, struct json_object *found)
{
	static const char *const names[] = { "messages", "memberships",
		"others" };
	struct json_object *o = json_object_new_object(), *n;
	int64_t sum = 0;

	(void)json_object_object_add(o, "user_id",
	    json_object_new_string(user));
	(void)json_object_object_add(o, "erased", json_object_new_boolean(1));
	if (!t->json)
		tool_print("erased", user);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!json_object_object_get_ex(found, names[i], &n))
			continue;
		sum += json_object_get_int64(n);
		(void)json_object_object_add(o, names[i], json_object_get(n));
		if (!t->json)
			tool_print(names[i], json_object_to_json_string(n));
	}
	if (t->json)
		tool_print_json(o);
	json_object_put(o);
	if (found != NULL && sum == 0 && (t->opts & TOOL_QUIET) == 0)
		(void)fprintf(stderr,
		    "There was nothing of this user: ids are compared byte by "
		    "byte.\n");
}

int
tool_user_erase(struct tool *t, char **args)
{
	const char *tenant = tool_value(t, TOOL_TENANT), *token = NULL;
	struct rec_reply reply;
	struct json_object *found = NULL;

	if (tenant != NULL)
		token = id_token_of(tenant, strlen(tenant), "tenant_");
	if (token == NULL)
		return tool_error("say of whom: --tenant tenant_…"), 2;
	tool_catch_signals();
	if (erase_ask(t, REC_OP_USER_ERASE, token, args[0], &reply) == -1)
		return 1;
	if (reply.outcome == OUTCOME_INVALID)
		return tool_error("\"%s\" is no user id", args[0]);
	if (reply.outcome != OUTCOME_OK && reply.outcome != OUTCOME_UNKNOWN)
		return tool_error("%s", outcome_info(reply.outcome)->message);
	if (reply.outcome == OUTCOME_UNKNOWN &&
	    erase_ask(t, REC_OP_USER_ERASE, token, args[0], &reply) == -1)
		return 1;
	if (erase_follow(t, token, args[0], &found) != 0)
		return 1;
	erase_report(t, args[0], found);
	json_object_put(found);
	return 0;
}
