/* SPDX-License-Identifier: MIT */
/*
 * chatapi status: asks the master of the running server.  Never touches the
 * database; exits with 1 when nobody serves.
 */
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "../common/config.h"
#include "../common/duration.h"
#include "tool_int.h"

static struct json_object *
member(struct json_object *o, const char *name)
{
	struct json_object *v = NULL;

	(void)json_object_object_get_ex(o, name, &v);
	return v;
}

static void
print_count(struct json_object *o, const char *name, const char *title)
{
	tool_print(title, tool_member(o, name));
}

/* In whole seconds. */
static void
format_age(char *out, size_t size, struct json_object *o, const char *name)
{
	int64_t ms = json_object_get_int64(member(o, name));

	duration_format(out, size, (uint64_t)(ms / 1000 * 1000));
}

static void
print_age(struct json_object *o, const char *name, const char *title)
{
	char text[64];

	format_age(text, sizeof(text), o, name);
	tool_print(title, text);
}

static void
print_list(struct json_object *list, const char *title)
{
	size_t n = json_object_is_type(list, json_type_array) ?
	    json_object_array_length(list) :
	    0;

	for (size_t i = 0; i < n; i++)
		tool_print(title,
		    json_object_get_string(json_object_array_get_idx(list, i)));
}

static void
print_database(struct json_object *o)
{
	struct json_object *us = member(o, "last_commit_us");
	char age[64], text[96];

	tool_print("database", tool_member(o, "path"));
	print_count(o, "bytes", "database_bytes");
	print_count(o, "wal_bytes", "wal_bytes");
	print_count(o, "writable", "writable");
	print_count(o, "batch", "batch");
	format_age(age, sizeof(age), o, "last_commit_ms_ago");
	if (us == NULL)
		(void)snprintf(text, sizeof(text), "-");
	else
		(void)snprintf(text, sizeof(text), "%s ago, took %.1f ms", age,
		    (double)json_object_get_int64(us) / 1000);
	tool_print("last_commit", text);
}

static void
print_reload(struct json_object *o)
{
	char text[96];

	/* As long as it is under way. */
	(void)snprintf(text, sizeof(text), "%s, %s of %s",
	    tool_member(o, "state"), tool_member(o, "replaced"),
	    tool_member(o, "of"));
	if (strcmp(tool_member(o, "state"), "running") != 0)
		text[strcspn(text, ",")] = '\0';
	tool_print("reload", text);
	if (member(o, "last_at") != NULL)
		tool_print("reloaded_at", tool_member(o, "last_at"));
	if (member(o, "why") != NULL)
		tool_print("reload_error", tool_member(o, "why"));
	print_list(member(o, "restart_needed"), "restart_needed");
}

static void
print_processes(struct json_object *list)
{
	static const int widths[] = { 9, 8, 9, 12, 10, 0 };
	static const char *const titles[] = { "PROCESS", "PID", "STATE",
		"VERSION", "UPTIME", "CONNECTIONS" };

	tool_print_row(titles, widths, 6);
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *p = json_object_array_get_idx(list, i);
		struct json_object *slot = member(p, "slot");
		char name[64], uptime[64];

		(void)snprintf(name, sizeof(name), "%s%s%s",
		    tool_member(p, "role"), slot != NULL ? " " : "",
		    slot != NULL ? json_object_get_string(slot) : "");
		format_age(uptime, sizeof(uptime), p, "uptime_ms");
		tool_print_row((const char *[]){ name, tool_member(p, "pid"),
				   tool_member(p, "state"),
				   tool_member(p, "version"), uptime,
				   tool_member(p, "connections") },
		    widths, 6);
	}
}

static void
print_status(struct json_object *o)
{
	struct json_object *queues = member(o, "queues");

	tool_print("state", tool_member(o, "phase"));
	tool_print("version", tool_member(o, "version"));
	print_age(o, "uptime_ms", "uptime");
	print_list(member(o, "listen"), "listen");
	print_count(o, "connections", "connections");
	print_count(o, "users_online", "users_online");
	print_count(queues, "operations_pending", "pending");
	print_count(queues, "writer_operations", "writer_queue");
	print_count(queues, "bus_bytes", "bus_bytes");
	print_database(member(o, "database"));
	print_reload(member(o, "reload"));
	print_processes(member(o, "processes"));
}

static int
not_serving(const struct tool *t)
{
	if (t->json)
		(void)puts("{\"serving\":false}");
	return tool_error("no server runs on database %s", t->config->dsn.path);
}

int
tool_status(struct tool *t, char **args)
{
	struct rec_reply reply;
	struct json_object *o;
	int status;

	(void)args;
	switch (tool_connect_server(t)) {
	case 1:
		break;
	case 0:
		return not_serving(t);
	default:
		return 1;
	}
	buf_clear(&t->op);
	(void)rec_empty_put(&t->op, REC_STATUS);
	if (tool_submit(t, &reply) == -1 || (o = tool_parse(&reply)) == NULL)
		return 1;
	status = !json_object_get_boolean(member(o, "serving"));
	if (t->json)
		tool_print_json(o);
	else
		print_status(o);
	json_object_put(o);
	return status;
}
