/* SPDX-License-Identifier: MIT */
/* chatapi key add, list, revoke.  A key's text is shown once, by add. */
#include <json-c/json.h>
#include <string.h>

#include "../common/key.h"
#include "tool_int.h"

int
tool_key_add(struct tool *t, char **args)
{
	struct rec_op_admin op = { .h = tool_head(t) };
	struct rec_reply reply;
	struct json_object *o;
	char key[KEY_TEXT_SIZE];

	key_new(key);
	if (!key_hash(key, strlen(key), op.key_hash))
		return tool_error("cannot make a key");
	op.a = (struct str){ args[0], strlen(args[0]) };
	(void)rec_op_admin_put(&t->op, REC_OP_KEY_ADD, &op);
	if (tool_submit(t, &reply) == -1 || (o = tool_parse(&reply)) == NULL)
		return 1;
	if (t->json) {
		(void)json_object_object_add(o, "api_key",
		    json_object_new_string(key));
		tool_print_json(o);
	} else {
		tool_print("key_id", tool_member(o, "key_id"));
		tool_print("api_key", key);
	}
	json_object_put(o);
	return 0;
}

int
tool_key_list(struct tool *t, char **args)
{
	static const int widths[] = { 26, 24, 0 };
	static const char *const titles[] = { "KEY_ID", "CREATED_AT",
		"LAST_USED_AT" };
	struct json_object *all, *o;

	all = tool_list(t, REC_OP_KEY_LIST, args[0], true, "keys");
	if (all == NULL)
		return 1;
	if (t->json) {
		o = json_object_new_object();
		(void)json_object_object_add(o, "keys", json_object_get(all));
		tool_print_json(o);
		json_object_put(o);
		json_object_put(all);
		return 0;
	}
	tool_print_row(titles, widths, 3);
	for (size_t i = 0; i < json_object_array_length(all); i++) {
		o = json_object_array_get_idx(all, i);
		tool_print_row((const char *[]){ tool_member(o, "key_id"),
				   tool_member(o, "created_at"),
				   tool_member(o, "last_used_at") },
		    widths, 3);
	}
	json_object_put(all);
	return 0;
}

int
tool_key_revoke(struct tool *t, char **args)
{
	struct rec_op_admin op = { .h = tool_head(t) };
	struct rec_reply reply;
	struct json_object *o;

	op.a = (struct str){ args[0], strlen(args[0]) };
	op.b = (struct str){ args[1], strlen(args[1]) };
	(void)rec_op_admin_put(&t->op, REC_OP_KEY_REVOKE, &op);
	if (tool_submit(t, &reply) == -1)
		return 1;
	if (!t->json) {
		tool_print("revoked", args[1]);
		return 0;
	}
	o = json_object_new_object();
	(void)json_object_object_add(o, "key_id",
	    json_object_new_string(args[1]));
	(void)json_object_object_add(o, "revoked", json_object_new_boolean(1));
	tool_print_json(o);
	json_object_put(o);
	return 0;
}
