/* SPDX-License-Identifier: MIT */
/*
 * chatapi tenant update, disable, enable, delete.  Fields are named and
 * checked as in the admin API.  A secret is read from a file or standard
 * input, never from the command line, where others could see it.
 */
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/config.h"
#include "../common/tenant_rules.h"
#include "tool_int.h"

/* A PEM file with a few remarks around it. */
#define FILE_MAX 8192

struct update {
	struct tool *t;
	struct rec_op_tenant_update op;
	char made[TENANT_WHSEC_SIZE];
	uint8_t key[TENANT_JWT_PUBLIC_SIZE];
	char *read[8]; /* what came out of files: one a field */
	size_t nread;
};

/* A field's value; v.p NULL = cleared.  A sentence when it is refused. */
typedef const char *field_fn(struct update *u, struct str v);

static const char *
set_text(struct str *out, struct str v, const char *(*rule)(struct str))
{
	*out = v.p != NULL ? v : (struct str){ "", 0 };
	return v.p != NULL ? rule(v) : NULL;
}

static const char *
field_name(struct update *u, struct str v)
{
	if (v.p == NULL)
		return "name cannot be cleared.";
	return set_text(&u->op.name, v, tenant_rules_name);
}

/* Digits only; false when it is anything else or out of bounds. */
static bool
number(struct str v, uint32_t least, uint32_t most, uint32_t *out)
{
	uint64_t n = 0;

	if (v.len == 0 || v.len > 9)
		return false;
	for (size_t i = 0; i < v.len; i++) {
		if (v.p[i] < '0' || v.p[i] > '9')
			return false;
		n = n * 10 + (uint64_t)(v.p[i] - '0');
	}
	*out = (uint32_t)n;
	return n >= least && n <= most;
}

static const char *
field_rate_limit(struct update *u, struct str v)
{
	u->op.has_rate_limit = v.p != NULL;
	if (v.p == NULL || number(v, 0, TENANT_RATE_MAX, &u->op.rate_limit))
		return NULL;
	return "rate_limit must be a whole number from 0 (none) to 1000000, "
	       "or null for the default.";
}

static const char *
field_disabled(struct update *u, struct str v)
{
	bool yes = v.len == 4 && memcmp(v.p, "true", 4) == 0;

	if (!yes && !(v.len == 5 && memcmp(v.p, "false", 5) == 0))
		return "disabled must be true or false.";
	u->op.disabled = yes;
	return NULL;
}

static const char *
field_webhook_url(struct update *u, struct str v)
{
	u->op.webhook_url = v.p != NULL ? v : (struct str){ "", 0 };
	return v.p == NULL ?
	    NULL :
	    tenant_rules_webhook_url(v, u->t->config->webhook_allow_private);
}

static const char *
field_webhook_secret(struct update *u, struct str v)
{
	return set_text(&u->op.webhook_secret, v, tenant_rules_webhook_secret);
}

static const char *
field_jwt_secret(struct update *u, struct str v)
{
	return set_text(&u->op.jwt_secret, v, tenant_rules_jwt_secret);
}

static const char *
field_jwt_public_key(struct update *u, struct str v)
{
	if (v.p == NULL) {
		u->op.jwt_public_key = (struct str){ "", 0 };
		return NULL;
	}
	u->op.jwt_public_key = (struct str){ (const char *)u->key,
		sizeof(u->key) };
	return tenant_rules_jwt_public_key(v, u->key);
}

static const char *
field_retention_days(struct update *u, struct str v)
{
	u->op.retention_days = 0;
	if (v.p == NULL ||
	    number(v, 1, TENANT_RETENTION_MAX, &u->op.retention_days))
		return NULL;
	return "retention_days must be a whole number from 1 to 36500, or "
	       "null to keep messages for ever.";
}

static const struct {
	const char *name;
	enum tenant_field bit;
	bool secret;
	field_fn *fn;
} fields[] = {
	{ "name", TENANT_NAME, false, field_name },
	{ "rate_limit", TENANT_RATE_LIMIT, false, field_rate_limit },
	{ "disabled", TENANT_DISABLED, false, field_disabled },
	{ "webhook_url", TENANT_WEBHOOK_URL, false, field_webhook_url },
	{ "webhook_secret", TENANT_WEBHOOK_SECRET, true, field_webhook_secret },
	{ "jwt_secret", TENANT_JWT_SECRET, true, field_jwt_secret },
	{ "jwt_public_key", TENANT_JWT_PUBLIC_KEY, false,
	    field_jwt_public_key },
	{ "retention_days", TENANT_RETENTION, false, field_retention_days },
};
#define NFIELDS (sizeof(fields) / sizeof(fields[0]))

/* ---- values ---- */

/* The text of a file, "-" for standard input, without the newlines at its
 * end; -1 with a line on stderr. */
static int
value_read(struct update *u, const char *path, struct str *out)
{
	int fd = strcmp(path, "-") == 0 ? STDIN_FILENO :
					  open(path, O_RDONLY | O_CLOEXEC);
	char *text;
	ssize_t n = 0;
	size_t len = 0;

	if (fd == -1 || (text = calloc(1, FILE_MAX + 1)) == NULL) {
		(void)tool_error("cannot read %s: %s", path, strerror(errno));
		return -1;
	}
	u->read[u->nread++] = text;
	while (len <= FILE_MAX &&
	    (n = read(fd, text + len, FILE_MAX + 1 - len)) > 0)
		len += (size_t)n;
	if (fd != STDIN_FILENO)
		(void)close(fd);
	if (n == -1 || len > FILE_MAX) {
		(void)tool_error("cannot read %s: %s", path,
		    n == -1 ? strerror(errno) : "it is too long");
		return -1;
	}
	while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
		len--;
	*out = (struct str){ text, len };
	return 0;
}

/* One FIELD=VALUE; -1 with a line on stderr. */
static int
update_word(struct update *u, const char *word)
{
	const char *eq = strchr(word, '='), *why;
	size_t len = eq != NULL ? (size_t)(eq - word) : strlen(word), i;
	struct str v = { NULL, 0 };

	for (i = 0; i < NFIELDS; i++)
		if (strlen(fields[i].name) == len &&
		    strncmp(fields[i].name, word, len) == 0)
			break;
	if (eq == NULL || i == NFIELDS) {
		(void)tool_error("\"%.*s\" is no field of a tenant; say "
				 "FIELD=VALUE",
		    (int)(len < 64 ? len : 64), word);
		return -1;
	}
	if ((u->op.has & fields[i].bit) != 0) {
		(void)tool_error("%s is given twice", fields[i].name);
		return -1;
	}
	if (eq[1] == '@') {
		if (value_read(u, eq + 2, &v) == -1)
			return -1;
	} else if (strcmp(eq + 1, "null") != 0) {
		if (fields[i].secret) {
			(void)tool_error("a secret on the command line can be "
					 "seen by others; say %s=@FILE, or @- "
					 "for standard input",
			    fields[i].name);
			return -1;
		}
		v = (struct str){ eq + 1, strlen(eq + 1) };
	}
	u->op.has = (uint8_t)(u->op.has | fields[i].bit);
	if ((why = fields[i].fn(u, v)) == NULL)
		return 0;
	(void)tool_error("%s", why);
	return -1;
}

static void
update_wipe(struct update *u)
{
	for (size_t i = 0; i < u->nread; i++) {
		explicit_bzero(u->read[i], FILE_MAX);
		free(u->read[i]);
	}
	explicit_bzero(u->made, sizeof(u->made));
}

/* ---- commands ---- */

static int
update_submit(struct update *u, const char *tenant)
{
	struct tool *t = u->t;
	struct rec_reply reply;
	struct json_object *o;

	u->op.tenant = (struct str){ tenant, strlen(tenant) };
	if ((u->op.has & (TENANT_WEBHOOK_URL | TENANT_WEBHOOK_SECRET)) != 0) {
		tenant_rules_new_secret(u->made);
		u->op.new_secret = (struct str){ u->made, strlen(u->made) };
	}
	u->op.h = tool_head(t);
	(void)rec_op_tenant_update_put(&t->op, &u->op);
	if (tool_submit(t, &reply) == -1 || (o = tool_parse(&reply)) == NULL)
		return 1;
	if (reply.seq == 1)
		(void)json_object_object_add(o, "webhook_secret",
		    json_object_new_string(u->made));
	tool_tenant_print(t, o);
	json_object_put(o);
	return 0;
}

int
tool_tenant_update(struct tool *t, char **args)
{
	struct update u = { .t = t };
	int status = 2;

	for (size_t i = 1; args[i] != NULL; i++)
		if (update_word(&u, args[i]) == -1)
			goto out;
	if (u.op.jwt_secret.len > 0 && u.op.jwt_public_key.len > 0) {
		(void)tool_error("a tenant has one JWT key: give jwt_secret or "
				 "jwt_public_key");
		goto out;
	}
	status = update_submit(&u, args[0]);
out:
	update_wipe(&u);
	return status;
}

static int
set_disabled(struct tool *t, const char *tenant, bool disabled)
{
	struct update u = { .t = t };

	u.op.has = TENANT_DISABLED;
	u.op.disabled = disabled;
	return update_submit(&u, tenant);
}

int
tool_tenant_disable(struct tool *t, char **args)
{
	return set_disabled(t, args[0], true);
}

int
tool_tenant_enable(struct tool *t, char **args)
{
	return set_disabled(t, args[0], false);
}

int
tool_tenant_delete(struct tool *t, char **args)
{
	struct rec_op_admin op = { .h = tool_head(t) };
	struct rec_reply reply;
	struct json_object *o;

	op.a = (struct str){ args[0], strlen(args[0]) };
	(void)rec_op_admin_put(&t->op, REC_OP_TENANT_DELETE, &op);
	if (tool_submit(t, &reply) == -1)
		return 1;
	if (!t->json) {
		tool_print("deleted", args[0]);
		return 0;
	}
	o = json_object_new_object();
	(void)json_object_object_add(o, "tenant_id",
	    json_object_new_string(args[0]));
	(void)json_object_object_add(o, "deleted", json_object_new_boolean(1));
	tool_print_json(o);
	json_object_put(o);
	return 0;
}
