/* SPDX-License-Identifier: MIT */
/* chatapi tenant create, list, show. */
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "../common/clock.h"
#include "../common/ids.h"
#include "../common/key.h"
#include "../common/tenant_rules.h"
#include "tool_int.h"

int
tool_tenant_create(struct tool *t, char **args)
{
	struct rec_op_tenant_create op = { .h = tool_head(t) };
	struct json_object *o;
	struct rec_reply reply;
	char key[KEY_TEXT_SIZE], when[CLOCK_RFC3339_SIZE];
	char id[ID_PUBLIC_SIZE];

	op.name = (struct str){ args[0], strlen(args[0]) };
	if (tenant_rules_name(op.name) != NULL)
		return tool_error("%s", tenant_rules_name(op.name));
	key_new(key);
	if (!key_hash(key, strlen(key), op.key_hash))
		return tool_error("cannot make a key");
	(void)rec_op_tenant_create_put(&t->op, &op);
	if (tool_submit(t, &reply) == -1)
		return 1;
	if (!id_token_valid(reply.text.p, reply.text.len))
		return tool_error("the answer is not understood");
	clock_rfc3339(when, (int64_t)reply.ms);
	o = json_object_new_object();
	(void)snprintf(id, sizeof(id), "tenant_%.*s", ID_TOKEN_LEN,
	    reply.text.p);
	(void)json_object_object_add(o, "tenant_id",
	    json_object_new_string(id));
	(void)json_object_object_add(o, "name",
	    json_object_new_string(args[0]));
	(void)json_object_object_add(o, "api_key", json_object_new_string(key));
	(void)json_object_object_add(o, "created_at",
	    json_object_new_string(when));
	if (t->json)
		tool_print_json(o);
	else {
		tool_print("tenant_id", id);
		tool_print("api_key", key);
	}
	json_object_put(o);
	return 0;
}

/* Prints a list as one JSON object, as the REST API would answer it. */
static void
print_list_json(const char *member, struct json_object *all)
{
	struct json_object *o = json_object_new_object();

	(void)json_object_object_add(o, member, json_object_get(all));
	(void)json_object_object_add(o, "next_cursor", NULL);
	tool_print_json(o);
	json_object_put(o);
}

static const char *
tenant_state(struct json_object *o)
{
	return strcmp(tool_member(o, "disabled"), "true") == 0 ? "disabled" :
								 "active";
}

static const char *
tenant_rate(struct json_object *o)
{
	const char *rate = tool_member(o, "rate_limit");

	return strcmp(rate, "-") == 0 ? "default" : rate;
}

int
tool_tenant_list(struct tool *t, char **args)
{
	static const int widths[] = { 29, 24, 8, 7, 0 };
	static const char *const titles[] = { "TENANT_ID", "CREATED_AT",
		"STATE", "RATE", "NAME" };
	struct json_object *all;

	(void)args;
	all = tool_list(t, REC_OP_TENANT_LIST, "", false, "tenants");
	if (all == NULL)
		return 1;
	if (t->json) {
		print_list_json("tenants", all);
		json_object_put(all);
		return 0;
	}
	tool_print_row(titles, widths, 5);
	for (size_t i = 0; i < json_object_array_length(all); i++) {
		struct json_object *o = json_object_array_get_idx(all, i);
		const char *row[] = { tool_member(o, "tenant_id"),
			tool_member(o, "created_at"), tenant_state(o),
			tenant_rate(o), tool_member(o, "name") };

		tool_print_row(row, widths, 5);
	}
	json_object_put(all);
	return 0;
}

void
tool_tenant_print(struct tool *t, struct json_object *o)
{
	static const char *const others[] = { "webhook_url", "webhook_secret",
		"jwt_alg", "jwt_public_key", "retention_days" };

	if (t->json) {
		tool_print_json(o);
		return;
	}
	tool_print("tenant_id", tool_member(o, "tenant_id"));
	tool_print("name", tool_member(o, "name"));
	tool_print("created_at", tool_member(o, "created_at"));
	tool_print("state", tenant_state(o));
	tool_print("rate_limit", tenant_rate(o));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (strcmp(tool_member(o, others[i]), "-") != 0)
			tool_print(others[i], tool_member(o, others[i]));
}

int
tool_tenant_show(struct tool *t, char **args)
{
	struct rec_op_admin op = { .h = tool_head(t) };
	struct rec_reply reply;
	struct json_object *o;

	op.a = (struct str){ args[0], strlen(args[0]) };
	(void)rec_op_admin_put(&t->op, REC_OP_TENANT_SHOW, &op);
	if (tool_submit(t, &reply) == -1 || (o = tool_parse(&reply)) == NULL)
		return 1;
	tool_tenant_print(t, o);
	json_object_put(o);
	return 0;
}
