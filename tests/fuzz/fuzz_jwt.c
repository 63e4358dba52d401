/* SPDX-License-Identifier: MIT */
/*
 * Tokens: whatever text is shown, what is read out of it is in bounds, and
 * it holds only under a key that has signed just that text.
 *
 * Input: a byte of flags, then the token.  With bit 0 the signature is made
 * anew, so that the way behind it is walked, too.
 */
#include "fuzz.h"

#include <json-c/json_tokener.h>
#include <sodium.h>
#include <stdbool.h>
#include <string.h>

#include "worker/jwt.h"

static const uint8_t secret[] = "fuzz";

static void
check_fields(const struct jwt *j, const char *token, size_t len)
{
	FUZZ_CHECK(j->alg == JWT_HS256 || j->alg == JWT_EDDSA);
	FUZZ_CHECK(id_token_valid(j->tenant, strlen(j->tenant)));
	FUZZ_CHECK(strlen(j->user) == j->user_len);
	FUZZ_CHECK(utf8_user_id_valid(j->user, j->user_len));
	FUZZ_CHECK(j->signed_text == token && j->signed_len < len);
	FUZZ_CHECK(j->signature_len <= JWT_SIGNATURE_MAX);
	FUZZ_CHECK(len <= JWT_MAX);
	FUZZ_CHECK(jwt_check_time(j, INT64_MAX) != NULL);
}

static void
check_signed(struct jwt *j, const struct jwt_key *k)
{
	crypto_auth_hmacsha256_state st;

	crypto_auth_hmacsha256_init(&st, secret, sizeof(secret));
	crypto_auth_hmacsha256_update(&st, (const uint8_t *)j->signed_text,
	    j->signed_len);
	crypto_auth_hmacsha256_final(&st, j->signature);
	j->signature_len = crypto_auth_hmacsha256_BYTES;
	FUZZ_CHECK(jwt_verify(j, k) == (j->alg == JWT_HS256));
	j->signature[j->signed_len % crypto_auth_hmacsha256_BYTES] ^= 1;
	FUZZ_CHECK(!jwt_verify(j, k));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct json_tokener *t;
	static struct jwt_key *hs256, *eddsa;
	uint8_t pk[crypto_sign_PUBLICKEYBYTES], sk[crypto_sign_SECRETKEYBYTES];
	char *token;
	struct jwt j;
	bool resign;

	if (size < 1)
		return 0;
	if (t == NULL) {
		FUZZ_CHECK(sodium_init() != -1);
		FUZZ_CHECK((t = jwt_tokener()) != NULL);
		crypto_sign_keypair(pk, sk);
		hs256 = jwt_key_new(JWT_HS256, secret, sizeof(secret));
		eddsa = jwt_key_new(JWT_EDDSA, pk, sizeof(pk));
	}
	resign = (data[0] & 1) != 0;
	size--;
	/* Of its exact size, for the sanitizer. */
	token = malloc(size > 0 ? size : 1);
	FUZZ_CHECK(token != NULL);
	memcpy(token, data + 1, size);
	if (jwt_parse(&j, t, token, size) == NULL) {
		check_fields(&j, token, size);
		/* Nobody has the private key. */
		FUZZ_CHECK(!jwt_verify(&j, eddsa));
		if (resign)
			check_signed(&j, hs256);
		else if (jwt_verify(&j, hs256))
			FUZZ_CHECK(j.alg == JWT_HS256);
	}
	free(token);
	return 0;
}
