/* SPDX-License-Identifier: MIT */
/*
 * JSON Web Tokens that name a user (RFC 7515, 7519, 8037): HS256 and EdDSA
 * with Ed25519.  Pure: the caller has the key and the time.  A token says
 * which tenant it is for; how it must be signed is for the tenant to say.
 */
#ifndef WORKER_JWT_H
#define WORKER_JWT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../common/ids.h"
#include "../common/utf8.h"

struct json_tokener;
struct jwt_key;

/* The longest token: a request's headers may have 8 KiB in all. */
#define JWT_MAX 4096
#define JWT_LEEWAY_MS 5000
#define JWT_PUBLIC_SIZE 32
#define JWT_SIGNATURE_MAX 64

enum jwt_alg { JWT_NONE, JWT_HS256, JWT_EDDSA };

/* What a token says; nothing of it is true before jwt_verify(). */
struct jwt {
	uint8_t alg; /* enum jwt_alg */
	char tenant[ID_TOKEN_SIZE];
	char user[USER_ID_MAX + 1];
	size_t user_len;
	int64_t expires_ms; /* exp and leeway: the first moment it is no good */
	int64_t begins_ms;  /* nbf less the leeway; INT64_MIN = none */
	const char *signed_text; /* header.payload, inside the token */
	size_t signed_len;
	uint8_t signature[JWT_SIGNATURE_MAX];
	size_t signature_len;
};

/* A parser for jwt_parse(), to be freed with json_tokener_free(). */
struct json_tokener *jwt_tokener(void);
/*
 * Takes a compact token apart.  NULL, or a constant sentence for the client.
 * j borrows from the token.
 */
const char *jwt_parse(struct jwt *j, struct json_tokener *t, const char *token,
    size_t len) __attribute__((warn_unused_result));

/* A key made ready: secret of any length, or JWT_PUBLIC_SIZE bytes.  NULL
 * for another algorithm or length. */
struct jwt_key *jwt_key_new(enum jwt_alg alg, const uint8_t *p, size_t len);
/* Wipes it. */
void jwt_key_free(struct jwt_key *k);

/* Is it signed with this key, by the key's algorithm? */
bool jwt_verify(const struct jwt *j, const struct jwt_key *k)
    __attribute__((warn_unused_result));
/* Of a verified one: NULL, or a constant sentence why it is no good now. */
const char *jwt_check_time(const struct jwt *j, int64_t now_ms)
    __attribute__((warn_unused_result));

#endif
