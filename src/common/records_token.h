/* SPDX-License-Identifier: MIT */
/* The operations on tokens that open a WebSocket; see records.h. */
#ifndef COMMON_RECORDS_TOKEN_H
#define COMMON_RECORDS_TOKEN_H

#include "records.h"

/*
 * A token that opens one WebSocket for a user; the requester makes it, only
 * its hash travels.  What it opens hangs on the credential by which it was
 * asked for: an API key, or the tenant's JWT key of that batch and the time
 * when the JWT was to end.
 */
#define WS_TOKEN_MS 60000
struct rec_op_ws_token_issue {
	struct op_head h;
	uint8_t hash[KEY_HASH_SIZE];
	struct str user;
	uint64_t key;     /* internal id; 0 = by a JWT */
	uint64_t jwt_n;   /* 0 = by an API key */
	uint64_t ends_ms; /* Unix; 0 = never */
};
int rec_op_ws_token_issue_put(struct buf *b,
    const struct rec_op_ws_token_issue *r);
int rec_op_ws_token_issue_get(const struct wire_record *w,
    struct rec_op_ws_token_issue *r);

/* Takes the token with that hash out of the database. */
struct rec_op_ws_token_redeem {
	struct op_head h;
	uint8_t hash[KEY_HASH_SIZE];
};
int rec_op_ws_token_redeem_put(struct buf *b,
    const struct rec_op_ws_token_redeem *r);
int rec_op_ws_token_redeem_get(const struct wire_record *w,
    struct rec_op_ws_token_redeem *r);

#endif
