/* SPDX-License-Identifier: MIT */
/*
 * What tokens are checked against: tenants' JWT keys, as they rest, and the
 * tokens that open a WebSocket.  Runs in a worker; opens no secret.
 */
#include <string.h>

#include "reader_int.h"

int
reader_jwt(struct reader *r, const char *token, struct reader_jwt *out)
{
	sqlite3_stmt *s = reader_statement(r, READER_JWT);
	const void *key;
	int rc;

	if (s == NULL)
		return -1;
	memset(out, 0, sizeof(*out));
	reader_bind_text(s, 1, token, ID_TOKEN_LEN);
	rc = reader_step(r, s);
	if (rc == 1) {
		out->tenant = (uint64_t)sqlite3_column_int64(s, 0);
		out->disabled = sqlite3_column_int(s, 1) != 0;
		out->has_rate_limit = sqlite3_column_type(s, 2) != SQLITE_NULL;
		out->rate_limit = (uint32_t)sqlite3_column_int64(s, 2);
		out->alg = (uint8_t)sqlite3_column_int(s, 3);
		out->jwt_n = (uint64_t)sqlite3_column_int64(s, 5);
		key = sqlite3_column_blob(s, 4);
		out->key_len = (size_t)sqlite3_column_bytes(s, 4);
		/* Longer than any: a key that nothing opens. */
		if (key == NULL || out->key_len > sizeof(out->key))
			out->key_len = 0;
		else
			memcpy(out->key, key, out->key_len);
	}
	return reader_reset(s, rc);
}

int
reader_jwt_n(struct reader *r, uint64_t tenant, uint64_t *n)
{
	sqlite3_stmt *s = reader_statement(r, READER_JWT_N);
	int rc;

	if (s == NULL)
		return -1;
	sqlite3_bind_int64(s, 1, (sqlite3_int64)tenant);
	rc = reader_step(r, s);
	if (rc == 1)
		*n = (uint64_t)sqlite3_column_int64(s, 0);
	return reader_reset(s, rc);
}

int
reader_ws_token(struct reader *r, const uint8_t hash[KEY_HASH_SIZE],
    uint64_t *tenant)
{
	sqlite3_stmt *s = reader_statement(r, READER_WS_TOKEN);
	int rc;

	if (s == NULL)
		return -1;
	sqlite3_bind_blob(s, 1, hash, KEY_HASH_SIZE, SQLITE_STATIC);
	rc = reader_step(r, s);
	if (rc == 1)
		*tenant = (uint64_t)sqlite3_column_int64(s, 0);
	return reader_reset(s, rc);
}
