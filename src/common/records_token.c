/* SPDX-License-Identifier: MIT */
/* The operations on tokens that open a WebSocket.  Pure. */
#include "records_token.h"

#include "records_fields.h"

static void
hash_get(struct wire_reader *r, uint8_t hash[KEY_HASH_SIZE])
{
	const uint8_t *p = wire_get_bytes(r, KEY_HASH_SIZE);

	if (p != NULL)
		memcpy(hash, p, KEY_HASH_SIZE);
	else
		memset(hash, 0, KEY_HASH_SIZE);
}

int
rec_op_ws_token_issue_put(struct buf *b, const struct rec_op_ws_token_issue *r)
{
	size_t at = wire_begin(b, REC_OP_WS_TOKEN_ISSUE);

	field_put_head(b, &r->h);
	wire_put_bytes(b, r->hash, KEY_HASH_SIZE);
	field_put(b, r->user);
	wire_put_u64(b, r->key);
	wire_put_u64(b, r->jwt_n);
	wire_put_u64(b, r->ends_ms);
	return wire_end(b, at);
}

int
rec_op_ws_token_issue_get(const struct wire_record *w,
    struct rec_op_ws_token_issue *r)
{
	struct wire_reader rd;

	if (!field_open(w, REC_OP_WS_TOKEN_ISSUE, &rd))
		return -1;
	field_get_head(&rd, &r->h);
	hash_get(&rd, r->hash);
	r->user = field_get(&rd, 1, FIELD_USER_MAX);
	r->key = wire_get_u64(&rd);
	r->jwt_n = wire_get_u64(&rd);
	r->ends_ms = wire_get_u64(&rd);
	/* One credential, and only a JWT ends by itself. */
	if ((r->key == 0) == (r->jwt_n == 0) ||
	    (r->key != 0 && r->ends_ms != 0) || r->key > INT64_MAX ||
	    r->jwt_n > INT64_MAX || r->ends_ms > INT64_MAX)
		rd.bad = true;
	return field_close(&rd);
}

int
rec_op_ws_token_redeem_put(struct buf *b,
    const struct rec_op_ws_token_redeem *r)
{
	size_t at = wire_begin(b, REC_OP_WS_TOKEN_REDEEM);

	field_put_head(b, &r->h);
	wire_put_bytes(b, r->hash, KEY_HASH_SIZE);
	return wire_end(b, at);
}

int
rec_op_ws_token_redeem_get(const struct wire_record *w,
    struct rec_op_ws_token_redeem *r)
{
	struct wire_reader rd;

	if (!field_open(w, REC_OP_WS_TOKEN_REDEEM, &rd))
		return -1;
	field_get_head(&rd, &r->h);
	hash_get(&rd, r->hash);
	return field_close(&rd);
}
