/* SPDX-License-Identifier: MIT */
/*
 * PATCH and DELETE /admin/tenants/{id}, for the operator.  Runs in a worker,
 * which checks the form of each member; secrets pass through here to the
 * writer and are shown only when this request made one.
 */
#include <json-c/json.h>
#include <sodium.h>
#include <string.h>

#include "../common/buf.h"
#include "../common/ids.h"
#include "../common/submit.h"
#include "../common/tenant_rules.h"
#include "api.h"
#include "api_args.h"
#include "api_tenants.h"
#include "http.h"
#include "worker.h"

/* What the answer may have to show. */
struct update {
	char secret[TENANT_WHSEC_SIZE];
};

/* ---- the members ---- */

struct patch {
	struct json_object *o;
	struct rec_op_tenant_update *op;
	bool allow_private;
	uint8_t *key; /* TENANT_JWT_PUBLIC_SIZE bytes */
	struct field_error err;
};

static bool
patch_fail(struct patch *p, const char *field, const char *message)
{
	p->err.field = field;
	p->err.message = message;
	return false;
}

/* The member, if it is there: then its bit is set. */
static bool
patch_has(struct patch *p, const char *name, enum tenant_field bit,
    struct json_object **v)
{
	if (!json_object_object_get_ex(p->o, name, v))
		return false;
	p->op->has = (uint8_t)(p->op->has | bit);
	return true;
}

/* A string, or null for an empty one; `message` for anything else. */
static bool
patch_string(struct patch *p, const char *name, struct json_object *v,
    const char *message, struct str *out)
{
	*out = (struct str){ "", 0 };
	if (v == NULL)
		return true;
	if (!json_object_is_type(v, json_type_string))
		return patch_fail(p, name, message);
	out->p = json_object_get_string(v);
	out->len = (size_t)json_object_get_string_len(v);
	return true;
}

/* An integer from `least` to `most`; null is another matter. */
static bool
patch_number(struct json_object *v, int64_t least, int64_t most, uint32_t *out)
{
	int64_t n;

	if (!json_object_is_type(v, json_type_int))
		return false;
	n = json_object_get_int64(v);
	if (n < least || n > most)
		return false;
	*out = (uint32_t)n;
	return true;
}

static bool
patch_plain(struct patch *p)
{
	struct rec_op_tenant_update *op = p->op;
	struct json_object *v;
	const char *why;

	if (patch_has(p, "name", TENANT_NAME, &v)) {
		if (!patch_string(p, "name", v, "name must be a string.",
			&op->name))
			return false;
		if ((why = tenant_rules_name(op->name)) != NULL)
			return patch_fail(p, "name", why);
	}
	if (patch_has(p, "rate_limit", TENANT_RATE_LIMIT, &v)) {
		op->has_rate_limit = v != NULL;
		if (v != NULL &&
		    !patch_number(v, 0, TENANT_RATE_MAX, &op->rate_limit))
			return patch_fail(p, "rate_limit",
			    "rate_limit must be a whole number of requests a "
			    "second from 0 (none) to 1000000, or null for the "
			    "default.");
	}
	if (patch_has(p, "disabled", TENANT_DISABLED, &v)) {
		if (!json_object_is_type(v, json_type_boolean))
			return patch_fail(p, "disabled",
			    "disabled must be true or false.");
		op->disabled = json_object_get_boolean(v);
	}
	if (patch_has(p, "retention_days", TENANT_RETENTION, &v) && v != NULL &&
	    !patch_number(v, 1, TENANT_RETENTION_MAX, &op->retention_days))
		return patch_fail(p, "retention_days",
		    "retention_days must be a whole number from 1 to 36500, or "
		    "null to keep messages for ever.");
	return true;
}

static bool
patch_webhook(struct patch *p)
{
	struct rec_op_tenant_update *op = p->op;
	struct json_object *v;
	const char *why;

	if (patch_has(p, "webhook_url", TENANT_WEBHOOK_URL, &v)) {
		if (!patch_string(p, "webhook_url", v,
			"webhook_url must be a string, or null for none.",
			&op->webhook_url))
			return false;
		if (v != NULL &&
		    (why = tenant_rules_webhook_url(op->webhook_url,
			 p->allow_private)) != NULL)
			return patch_fail(p, "webhook_url", why);
	}
	if (patch_has(p, "webhook_secret", TENANT_WEBHOOK_SECRET, &v)) {
		if (!patch_string(p, "webhook_secret", v,
			"webhook_secret must be a string, or null for a new "
			"one.",
			&op->webhook_secret))
			return false;
		if (v != NULL &&
		    (why = tenant_rules_webhook_secret(op->webhook_secret)) !=
			NULL)
			return patch_fail(p, "webhook_secret", why);
	}
	return true;
}

static bool
patch_jwt(struct patch *p)
{
	struct rec_op_tenant_update *op = p->op;
	struct json_object *v;
	struct str text;
	const char *why;

	if (patch_has(p, "jwt_secret", TENANT_JWT_SECRET, &v)) {
		if (!patch_string(p, "jwt_secret", v,
			"jwt_secret must be a string, or null for none.",
			&op->jwt_secret))
			return false;
		if (v != NULL &&
		    (why = tenant_rules_jwt_secret(op->jwt_secret)) != NULL)
			return patch_fail(p, "jwt_secret", why);
	}
	if (!patch_has(p, "jwt_public_key", TENANT_JWT_PUBLIC_KEY, &v))
		return true;
	if (!patch_string(p, "jwt_public_key", v,
		"jwt_public_key must be a string, or null for none.", &text))
		return false;
	if (v == NULL)
		return true;
	if ((why = tenant_rules_jwt_public_key(text, p->key)) != NULL)
		return patch_fail(p, "jwt_public_key", why);
	op->jwt_public_key = (struct str){ (const char *)p->key,
		TENANT_JWT_PUBLIC_SIZE };
	if (op->jwt_secret.len > 0)
		return patch_fail(p, "jwt_public_key",
		    "A tenant has one JWT key: give jwt_secret or "
		    "jwt_public_key.");
	return true;
}

/* ---- PATCH ---- */

/* The tenant as it now is, and the secret that was made for it. */
static void
updated(const struct rec_reply *reply, void *arg)
{
	struct http_request *q = arg;
	struct update *u = http_scratch_get(q);
	struct buf *b;

	if (reply->outcome != OUTCOME_OK &&
	    reply->outcome != OUTCOME_REPEATED) {
		sodium_memzero(u, sizeof(*u));
		api_refuse(q, reply->outcome);
		return;
	}
	b = http_body(q);
	if (reply->seq == 1 && reply->text.len > 0) {
		buf_add(b, reply->text.p, reply->text.len - 1);
		buf_adds(b, ",\"webhook_secret\":\"");
		buf_adds(b, u->secret);
		buf_adds(b, "\"}");
	} else
		buf_add(b, reply->text.p, reply->text.len);
	sodium_memzero(u, sizeof(*u));
	http_reply(q, 200, b);
}

void
api_tenants_update(struct http_request *q)
{
	struct submit *s = http_worker(q)->submit;
	struct update *u = http_scratch(q, sizeof(*u));
	struct rec_op_tenant_update op = { 0 };
	uint8_t key[TENANT_JWT_PUBLIC_SIZE];
	struct patch p = { .o = http_json(q),
		.op = &op,
		.allow_private = http_worker(q)->config.webhook_allow_private,
		.key = key };
	struct buf *b;

	if (!patch_plain(&p) || !patch_webhook(&p) || !patch_jwt(&p)) {
		api_args_refuse(q, &p.err);
		return;
	}
	if (!api_tenant_id(q, &op.tenant))
		return;
	b = submit_begin(s, &op.h, 0);
	if ((op.has & (TENANT_WEBHOOK_URL | TENANT_WEBHOOK_SECRET)) != 0) {
		tenant_rules_new_secret(u->secret);
		op.new_secret = (struct str){ u->secret, strlen(u->secret) };
	}
	rec_op_tenant_update_put(b, &op);
	api_submitted(q, submit_end(s, updated, q));
}

/* ---- DELETE ---- */

void
api_tenants_delete(struct http_request *q)
{
	struct submit *s = http_worker(q)->submit;
	struct rec_op_admin op = { 0 };
	struct buf *b;

	if (!api_tenant_id(q, &op.a))
		return;
	b = submit_begin(s, &op.h, 0);
	rec_op_admin_put(b, REC_OP_TENANT_DELETE, &op);
	api_submitted(q, submit_end(s, api_done_empty, q));
}
