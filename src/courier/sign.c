/* SPDX-License-Identifier: MIT */
/* Signs webhooks with libsodium's HMAC-SHA256.  Runs in the courier; keeps
 * no secret. */
#include "sign.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define WHSEC "whsec_"

/* The bytes that a secret stands for: 0, or -1 when it is no such base64. */
static int
sign_key(uint8_t *key, size_t size, size_t *len, const char *secret,
    size_t secret_len)
{
	const char *end;

	if (secret_len <= strlen(WHSEC) ||
	    memcmp(secret, WHSEC, strlen(WHSEC)) != 0)
		return -1;
	secret += strlen(WHSEC);
	secret_len -= strlen(WHSEC);
	return sodium_base642bin(key, size, secret, secret_len, NULL, len, &end,
		   sodium_base64_VARIANT_ORIGINAL) == 0 &&
		end == secret + secret_len ?
	    0 :
	    -1;
}

void
sign_standard(char out[SIGN_STANDARD_SIZE], const char *secret,
    size_t secret_len, const char *id, int64_t unix_s, const char *body,
    size_t len)
{
	crypto_auth_hmacsha256_state h;
	uint8_t key[512], mac[crypto_auth_hmacsha256_BYTES];
	size_t key_len;
	char head[128];
	int n;

	if (sign_key(key, sizeof(key), &key_len, secret, secret_len) == 0)
		crypto_auth_hmacsha256_init(&h, key, key_len);
	else
		crypto_auth_hmacsha256_init(&h, (const uint8_t *)secret,
		    secret_len);
	n = snprintf(head, sizeof(head), "%s.%lld.", id, (long long)unix_s);
	crypto_auth_hmacsha256_update(&h, (uint8_t *)head, (size_t)n);
	crypto_auth_hmacsha256_update(&h, (const uint8_t *)body, len);
	crypto_auth_hmacsha256_final(&h, mac);
	memcpy(out, "v1,", 3);
	sodium_bin2base64(out + 3, SIGN_STANDARD_SIZE - 3, mac, sizeof(mac),
	    sodium_base64_VARIANT_ORIGINAL);
	sodium_memzero(key, sizeof(key));
	sodium_memzero(&h, sizeof(h));
}

void
sign_body(char out[SIGN_BODY_SIZE], const char *secret, size_t secret_len,
    const char *body, size_t len)
{
	crypto_auth_hmacsha256_state h;
	uint8_t mac[crypto_auth_hmacsha256_BYTES];

	crypto_auth_hmacsha256_init(&h, (const uint8_t *)secret, secret_len);
	crypto_auth_hmacsha256_update(&h, (const uint8_t *)body, len);
	crypto_auth_hmacsha256_final(&h, mac);
	memcpy(out, "sha256=", 7);
	sodium_bin2hex(out + 7, SIGN_BODY_SIZE - 7, mac, sizeof(mac));
	sodium_memzero(&h, sizeof(h));
}
