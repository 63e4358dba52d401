/* SPDX-License-Identifier: MIT */
/* Operations on tenants and their keys; see records.h. */
#ifndef COMMON_RECORDS_TENANT_H
#define COMMON_RECORDS_TENANT_H

#include "records.h"

/* The requester makes the key; only its hash travels. */
struct rec_op_tenant_create {
	struct op_head h;
	struct str name;
	uint8_t key_hash[KEY_HASH_SIZE];
};
int rec_op_tenant_create_put(struct buf *b,
    const struct rec_op_tenant_create *r);
int rec_op_tenant_create_get(const struct wire_record *w,
    struct rec_op_tenant_create *r);

/*
 * Operator's operations on what is named by public ids:
 *   TENANT_LIST  a = cursor (tenant's public id, empty = from the start)
 *   TENANT_SHOW  a = tenant       KEY_ADD    a = tenant, hash
 *   KEY_LIST     a = tenant       KEY_REVOKE a = tenant, b = key
 *   TENANT_DELETE a = tenant: gone at once, its rows in pieces afterwards
 *   BACKUP       a = empty to begin one, else its name: how far is it;
 *                b = "stop" ends it
 *   USER_ERASE, USER_ERASING  a = tenant, b = user: begin it; look
 * Their replies carry JSON in `text`, as the REST API would answer.
 */
struct rec_op_admin {
	struct op_head h;
	struct str a;
	struct str b;
	uint8_t key_hash[KEY_HASH_SIZE]; /* KEY_ADD only */
};
int rec_op_admin_put(struct buf *b, enum record_type type,
    const struct rec_op_admin *r);
int rec_op_admin_get(const struct wire_record *w, struct rec_op_admin *r);

/*
 * PATCH of a tenant: what is not named in `has` stays.  Secrets travel as they
 * are, on sockets between processes of one user; the writer seals them.
 */
enum tenant_field {
	TENANT_NAME = 1,
	TENANT_RATE_LIMIT = 2,
	TENANT_DISABLED = 4,
	TENANT_WEBHOOK_URL = 8,
	TENANT_WEBHOOK_SECRET = 16,
	TENANT_JWT_SECRET = 32,
	TENANT_JWT_PUBLIC_KEY = 64,
	TENANT_RETENTION = 128
};
#define TENANT_FIELDS_ALL 255
#define TENANT_NAME_MAX 256       /* bytes */
#define TENANT_URL_MAX 2048       /* bytes */
#define TENANT_SECRET_MAX 512     /* bytes, of either secret */
#define TENANT_JWT_PUBLIC_SIZE 32 /* Ed25519 */
#define TENANT_RATE_MAX 1000000
#define TENANT_RETENTION_MAX 36500
enum tenant_jwt { TENANT_JWT_NONE = 0, TENANT_JWT_HS256, TENANT_JWT_EDDSA };

struct rec_op_tenant_update {
	struct op_head h;
	uint8_t has;       /* enum tenant_field, or-ed */
	struct str tenant; /* public id */
	struct str name;
	bool disabled;
	bool has_rate_limit;       /* false = the default */
	uint32_t rate_limit;       /* 0 = none */
	struct str webhook_url;    /* empty = none, and no secret */
	struct str webhook_secret; /* empty = take new_secret if there is an
				    * url, else none */
	struct str new_secret;     /* made by the requester for that case, and
				    * for an url where no secret is yet */
	struct str jwt_secret;     /* empty = an HS256 secret goes */
	struct str jwt_public_key; /* 32 bytes; empty = an EdDSA key goes */
	uint32_t retention_days;   /* 0 = for ever */
};
int rec_op_tenant_update_put(struct buf *b,
    const struct rec_op_tenant_update *r);
int rec_op_tenant_update_get(const struct wire_record *w,
    struct rec_op_tenant_update *r);

/* A key was used; h.tenant is its tenant; answered like the others. */
struct rec_op_key_used {
	struct op_head h;
	uint64_t key; /* internal id */
	uint64_t unix_ms;
};
int rec_op_key_used_put(struct buf *b, const struct rec_op_key_used *r);
int rec_op_key_used_get(const struct wire_record *w, struct rec_op_key_used *r);

#endif
