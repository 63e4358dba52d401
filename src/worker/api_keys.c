/* SPDX-License-Identifier: MIT */
/*
 * GET and POST /admin/tenants/{id}/keys, DELETE …/keys/{key_id}, for the
 * operator.  Runs in a worker; a new key exists in the clear only here, and
 * only its hash is stored.
 */
#include <sodium.h>
#include <string.h>

#include "../common/buf.h"
#include "../common/ids.h"
#include "../common/key.h"
#include "../common/submit.h"
#include "../common/tenant_text.h"
#include "api.h"
#include "api_args.h"
#include "api_tenants.h"
#include "http.h"
#include "reader.h"
#include "worker.h"

#define KEYS_MOST 100

/* ---- list ---- */

struct keys_page {
	struct buf *b;
	unsigned left;
	unsigned rows;
	bool more;
};

static bool
keys_row(const struct key_text *k, void *arg)
{
	struct keys_page *p = arg;

	if (p->left == 0) {
		p->more = true;
		return false;
	}
	p->left--;
	if (p->rows++ > 0)
		buf_adds(p->b, ",");
	key_text(p->b, k);
	return true;
}

/* The tenant's internal id; false when the answer is another. */
static bool
keys_tenant(struct http_request *q, uint64_t *tenant)
{
	struct tenant_text t;
	struct str id;
	int rc;

	if (!api_tenant_id(q, &id))
		return false;
	rc = reader_tenant_text(http_worker(q)->reader,
	    id_token_of(id.p, id.len, "tenant_"), &t, tenant);
	if (rc != 1)
		http_error(q,
		    rc == 0 ? OUTCOME_TENANT_NOT_FOUND : OUTCOME_STORAGE, NULL,
		    NULL);
	return rc == 1;
}

void
api_keys_list(struct http_request *q)
{
	struct keys_page p = { 0 };
	uint64_t tenant, after = 0, last = 0;
	size_t len;

	if (!api_args_limit(q, KEYS_MOST, KEYS_MOST, &p.left) ||
	    !api_args_cursor(q, 'k', &after, sizeof(after), &len))
		return;
	if (len != 0 && (len != sizeof(after) || after > INT64_MAX)) {
		http_error(q, OUTCOME_INVALID, "cursor",
		    "cursor must be a next_cursor of this list.");
		return;
	}
	if (!keys_tenant(q, &tenant))
		return;
	p.b = http_body(q);
	buf_adds(p.b, "{\"keys\":[");
	if (reader_keys(http_worker(q)->reader, tenant, after, p.left + 1,
		keys_row, &p, &last) == -1) {
		http_error(q, OUTCOME_STORAGE, NULL, NULL);
		return;
	}
	buf_adds(p.b, "],\"next_cursor\":");
	if (p.more)
		api_args_cursor_put(p.b, 'k', &last, sizeof(last));
	else
		buf_adds(p.b, "null");
	buf_adds(p.b, "}");
	http_reply(q, 200, p.b);
}

/* ---- add ---- */

struct added {
	char key[KEY_TEXT_SIZE];
};

static void
added(const struct rec_reply *reply, void *arg)
{
	struct http_request *q = arg;
	struct added *a = http_scratch_get(q);
	struct buf *b;

	if ((reply->outcome == OUTCOME_OK ||
		reply->outcome == OUTCOME_REPEATED) &&
	    reply->text.len > 0) {
		b = http_body(q);
		/* {"key_id":…} grows by a member. */
		buf_add(b, reply->text.p, reply->text.len - 1);
		buf_adds(b, ",\"api_key\":\"");
		buf_adds(b, a->key);
		buf_adds(b, "\"}");
		sodium_memzero(a, sizeof(*a));
		http_reply(q, 201, b);
	} else {
		sodium_memzero(a, sizeof(*a));
		api_refuse(q, reply->outcome);
	}
}

void
api_keys_add(struct http_request *q)
{
	struct submit *s = http_worker(q)->submit;
	struct added *a = http_scratch(q, sizeof(*a));
	struct rec_op_admin op = { 0 };
	struct buf *b;

	if (!api_tenant_id(q, &op.a))
		return;
	key_new(a->key);
	if (!key_hash(a->key, strlen(a->key), op.key_hash)) {
		http_error(q, OUTCOME_INTERNAL, NULL, NULL);
		return;
	}
	b = submit_begin(s, &op.h, 0);
	rec_op_admin_put(b, REC_OP_KEY_ADD, &op);
	api_submitted(q, submit_end(s, added, q));
}

/* ---- revoke ---- */

void
api_keys_revoke(struct http_request *q)
{
	struct submit *s = http_worker(q)->submit;
	struct rec_op_admin op = { 0 };
	struct buf *b;

	if (!api_tenant_id(q, &op.a))
		return;
	op.b = http_param(q, 1);
	/* Also keeps what is too long for a record away from it. */
	if (id_token_of(op.b.p, op.b.len, "key_") == NULL) {
		http_error(q, OUTCOME_KEY_NOT_FOUND, NULL, NULL);
		return;
	}
	b = submit_begin(s, &op.h, 0);
	rec_op_admin_put(b, REC_OP_KEY_REVOKE, &op);
	api_submitted(q, submit_end(s, api_done_empty, q));
}
