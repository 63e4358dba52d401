/* SPDX-License-Identifier: MIT */
/* The JSON objects of a tenant and of an API key, one formatter for writer
 * and workers.  What is secret is not even in the structs. */
#ifndef COMMON_TENANT_TEXT_H
#define COMMON_TENANT_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "ids.h"
#include "records_tenant.h"

struct buf;

/* All strings are borrowed. */
struct tenant_text {
	char token[ID_TOKEN_SIZE];
	struct str name;
	int64_t created_ms;
	bool disabled;
	bool has_rate_limit;
	uint32_t rate_limit;
	struct str webhook_url;    /* empty = none */
	uint8_t jwt_alg;           /* enum tenant_jwt */
	struct str jwt_public_key; /* its 32 bytes; empty = none */
	uint32_t retention_days;   /* 0 = for ever */
};

/* {"tenant_id","name","created_at","disabled","rate_limit","webhook_url",
 * "jwt_alg","jwt_public_key","retention_days"}; null where nothing is set. */
void tenant_text(struct buf *b, const struct tenant_text *t);

struct key_text {
	char token[ID_TOKEN_SIZE];
	int64_t created_ms;
	int64_t last_used_ms; /* 0 = never */
};

/* {"key_id","created_at","last_used_at"} */
void key_text(struct buf *b, const struct key_text *k);

#endif
