/* SPDX-License-Identifier: MIT */
/*
 * POST and GET /admin/tenants, GET of one, for the operator.  Runs in a
 * worker; a new key exists in the clear only here, and only its hash is
 * stored.
 */
#include <json-c/json.h>
#include <sodium.h>
#include <string.h>

#include "../common/buf.h"
#include "../common/ids.h"
#include "../common/json_text.h"
#include "../common/key.h"
#include "../common/submit.h"
#include "../common/tenant_text.h"
#include "api.h"
#include "api_args.h"
#include "api_tenants.h"
#include "http.h"
#include "reader.h"
#include "worker.h"

#define TENANTS_MOST 100

bool
api_tenant_id(struct http_request *q, struct str *id)
{
	*id = http_param(q, 0);
	if (id_token_of(id->p, id->len, "tenant_") != NULL)
		return true;
	http_error(q, OUTCOME_TENANT_NOT_FOUND, NULL, NULL);
	return false;
}

void
api_tenants_get(struct http_request *q)
{
	struct tenant_text t;
	struct str id;
	struct buf *b;
	uint64_t internal;

	if (!api_tenant_id(q, &id))
		return;
	switch (reader_tenant_text(http_worker(q)->reader,
	    id_token_of(id.p, id.len, "tenant_"), &t, &internal)) {
	case 1:
		b = http_body(q);
		tenant_text(b, &t);
		http_reply(q, 200, b);
		break;
	case 0:
		http_error(q, OUTCOME_TENANT_NOT_FOUND, NULL, NULL);
		break;
	default:
		http_error(q, OUTCOME_STORAGE, NULL, NULL);
	}
}

/* ---- list ---- */

struct tenants_page {
	struct buf *b;
	unsigned left;
	unsigned rows;
	bool more;
};

static bool
tenants_row(const struct tenant_text *t, void *arg)
{
	struct tenants_page *p = arg;

	if (p->left == 0) {
		p->more = true;
		return false;
	}
	p->left--;
	if (p->rows++ > 0)
		buf_adds(p->b, ",");
	tenant_text(p->b, t);
	return true;
}

void
api_tenants_list(struct http_request *q)
{
	struct tenants_page p = { 0 };
	uint64_t after = 0, last = 0;
	size_t len;

	if (!api_args_limit(q, TENANTS_MOST, TENANTS_MOST, &p.left) ||
	    !api_args_cursor(q, 't', &after, sizeof(after), &len))
		return;
	if (len != 0 && (len != sizeof(after) || after > INT64_MAX)) {
		http_error(q, OUTCOME_INVALID, "cursor",
		    "cursor must be a next_cursor of this list.");
		return;
	}
	p.b = http_body(q);
	buf_adds(p.b, "{\"tenants\":[");
	if (reader_tenants(http_worker(q)->reader, after, p.left + 1,
		tenants_row, &p, &last) == -1) {
		http_error(q, OUTCOME_STORAGE, NULL, NULL);
		return;
	}
	buf_adds(p.b, "],\"next_cursor\":");
	if (p.more)
		api_args_cursor_put(p.b, 't', &last, sizeof(last));
	else
		buf_adds(p.b, "null");
	buf_adds(p.b, "}");
	http_reply(q, 200, p.b);
}

/* ---- create ---- */

struct create {
	char key[KEY_TEXT_SIZE];
	struct str name;
};

static void
create_done(const struct rec_reply *reply, void *arg)
{
	struct http_request *q = arg;
	struct create *c = http_scratch_get(q);
	struct buf *b;

	if (reply->outcome != OUTCOME_OK &&
	    reply->outcome != OUTCOME_REPEATED) {
		sodium_memzero(c, sizeof(*c));
		api_refuse(q, reply->outcome);
		return;
	}
	b = http_body(q);
	buf_adds(b, "{\"tenant_id\":\"tenant_");
	buf_add(b, reply->text.p, reply->text.len);
	buf_adds(b, "\",\"name\":");
	json_text_string(b, c->name.p, c->name.len);
	buf_adds(b, ",\"api_key\":\"");
	buf_adds(b, c->key);
	buf_adds(b, "\",\"created_at\":");
	json_text_time(b, (int64_t)reply->ms);
	buf_adds(b, "}");
	sodium_memzero(c, sizeof(*c));
	http_reply(q, 201, b);
}

void
api_tenants_create(struct http_request *q)
{
	struct submit *s = http_worker(q)->submit;
	struct create *c = http_scratch(q, sizeof(*c));
	struct rec_op_tenant_create op = { 0 };
	struct field_error err;
	struct buf *b;

	if (field_string(http_json(q), "name", TENANT_NAME_MAX, &c->name,
		&err) == -1) {
		api_args_refuse(q, &err);
		return;
	}
	key_new(c->key);
	if (!key_hash(c->key, strlen(c->key), op.key_hash)) {
		http_error(q, OUTCOME_INTERNAL, NULL, NULL);
		return;
	}
	b = submit_begin(s, &op.h, 0);
	op.name = c->name;
	rec_op_tenant_create_put(b, &op);
	api_submitted(q, submit_end(s, create_done, q));
}
