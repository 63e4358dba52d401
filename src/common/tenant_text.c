/* SPDX-License-Identifier: MIT */
/* The JSON of tenants and keys.  Pure; run by the writer and the workers. */
#include "tenant_text.h"

#include <sodium.h>

#include "buf.h"
#include "json_text.h"

static void
optional_number(struct buf *b, const char *name, bool has, uint64_t v)
{
	(void)buf_adds(b, name);
	if (has)
		(void)buf_add_u64(b, v);
	else
		(void)buf_adds(b, "null");
}

static const char *
jwt_alg(unsigned alg)
{
	switch (alg) {
	case TENANT_JWT_HS256:
		return "\"HS256\"";
	case TENANT_JWT_EDDSA:
		return "\"EdDSA\"";
	default:
		return "null";
	}
}

void
tenant_text(struct buf *b, const struct tenant_text *t)
{
	char key[sodium_base64_ENCODED_LEN(TENANT_JWT_PUBLIC_SIZE,
	    sodium_base64_VARIANT_URLSAFE_NO_PADDING)];

	(void)buf_addf(b, "{\"tenant_id\":\"tenant_%s\",\"name\":", t->token);
	json_text_string(b, t->name.p, t->name.len);
	(void)buf_adds(b, ",\"created_at\":");
	json_text_time(b, t->created_ms);
	(void)buf_addf(b, ",\"disabled\":%s", t->disabled ? "true" : "false");
	optional_number(b, ",\"rate_limit\":", t->has_rate_limit,
	    t->rate_limit);
	(void)buf_adds(b, ",\"webhook_url\":");
	if (t->webhook_url.len > 0)
		json_text_string(b, t->webhook_url.p, t->webhook_url.len);
	else
		(void)buf_adds(b, "null");
	(void)buf_addf(b,
	    ",\"jwt_alg\":%s,\"jwt_public_key\":", jwt_alg(t->jwt_alg));
	if (t->jwt_alg == TENANT_JWT_EDDSA &&
	    t->jwt_public_key.len == TENANT_JWT_PUBLIC_SIZE) {
		sodium_bin2base64(key, sizeof(key),
		    (const uint8_t *)t->jwt_public_key.p,
		    TENANT_JWT_PUBLIC_SIZE,
		    sodium_base64_VARIANT_URLSAFE_NO_PADDING);
		(void)buf_addf(b, "\"%s\"", key);
	} else
		(void)buf_adds(b, "null");
	optional_number(b, ",\"retention_days\":", t->retention_days != 0,
	    t->retention_days);
	(void)buf_adds(b, "}");
}

void
key_text(struct buf *b, const struct key_text *k)
{
	(void)buf_addf(b, "{\"key_id\":\"key_%s\",\"created_at\":", k->token);
	json_text_time(b, k->created_ms);
	(void)buf_adds(b, ",\"last_used_at\":");
	if (k->last_used_ms != 0)
		json_text_time(b, k->last_used_ms);
	else
		(void)buf_adds(b, "null");
	(void)buf_adds(b, "}");
}
