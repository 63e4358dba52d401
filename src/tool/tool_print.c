/* SPDX-License-Identifier: MIT */
/*
 * What an operator's command prints: stable "name  value" lines, columns, or
 * JSON.  Values come from the database: their control characters never
 * reach the terminal.
 */
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tool_int.h"

#define NAME_WIDTH 16

int
tool_error(const char *fmt, ...)
{
	va_list ap;

	(void)fputs("chatapi: ", stderr);
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fputc('\n', stderr);
	return 1;
}

struct json_object *
tool_parse(const struct rec_reply *reply)
{
	struct json_tokener *tok = json_tokener_new();
	struct json_object *o = NULL;

	if (tok != NULL) {
		o = json_tokener_parse_ex(tok, reply->text.p,
		    (int)reply->text.len);
		json_tokener_free(tok);
	}
	if (!json_object_is_type(o, json_type_object)) {
		(void)tool_error("the answer is not understood");
		json_object_put(o);
		return NULL;
	}
	return o;
}

const char *
tool_member(struct json_object *o, const char *name)
{
	struct json_object *v;

	if (!json_object_object_get_ex(o, name, &v) || v == NULL)
		return "-";
	return json_object_get_string(v);
}

static void
put_value(const char *s)
{
	for (; *s != '\0'; s++)
		(void)putchar((unsigned char)*s < ' ' || *s == 0x7f ? '?' : *s);
}

void
tool_print(const char *name, const char *value)
{
	(void)printf("%-*s", NAME_WIDTH, name);
	put_value(value);
	(void)putchar('\n');
}

void
tool_print_row(const char *const *values, const int *widths, int n)
{
	for (int i = 0; i < n; i++) {
		int pad = widths[i] - (int)strlen(values[i]);

		put_value(values[i]);
		if (i == n - 1)
			break;
		(void)printf("%*s", pad > 0 ? pad + 2 : 2, "");
	}
	(void)putchar('\n');
}

void
tool_print_json(struct json_object *o)
{
	(void)puts(json_object_to_json_string_ext(o,
	    JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
}

/* Moves one page's items over; the cursor of the next goes to `cursor`. */
static int
list_page(struct tool *t, struct json_object *all, const char *member,
    char *cursor, size_t size)
{
	struct rec_reply reply;
	struct json_object *page, *items, *next;

	if (tool_submit(t, &reply) == -1 || (page = tool_parse(&reply)) == NULL)
		return -1;
	if (json_object_object_get_ex(page, member, &items) &&
	    json_object_is_type(items, json_type_array))
		for (size_t i = 0; i < json_object_array_length(items); i++)
			(void)json_object_array_add(all,
			    json_object_get(json_object_array_get_idx(items,
				i)));
	cursor[0] = '\0';
	if (json_object_object_get_ex(page, "next_cursor", &next) &&
	    json_object_is_type(next, json_type_string))
		(void)snprintf(cursor, size, "%s",
		    json_object_get_string(next));
	json_object_put(page);
	return 0;
}

struct json_object *
tool_list(struct tool *t, enum record_type type, const char *a,
    bool cursor_in_b, const char *member)
{
	struct json_object *all = json_object_new_array();
	char cursor[128] = "";

	do {
		struct str c = { cursor, strlen(cursor) };
		struct rec_op_admin op = { .h = tool_head(t) };

		op.a = cursor_in_b ? (struct str){ a, strlen(a) } : c;
		op.b = cursor_in_b ? c : (struct str){ "", 0 };
		(void)rec_op_admin_put(&t->op, type, &op);
		if (list_page(t, all, member, cursor, sizeof(cursor)) == -1) {
			json_object_put(all);
			return NULL;
		}
	} while (cursor[0] != '\0');
	return all;
}
