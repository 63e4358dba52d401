/* SPDX-License-Identifier: MIT */
/* API keys and hashes, all from libsodium.  Every process uses them. */
#include "key.h"

#include <sodium.h>
#include <string.h>

#define KEY_PREFIX "sk_"
#define WS_TOKEN_PREFIX "wst_"
#define KEY_BODY 43

static void
key_make(char *out, size_t size, const char *prefix)
{
	uint8_t random[32];
	size_t len = strlen(prefix);

	randombytes_buf(random, sizeof(random));
	memcpy(out, prefix, len);
	sodium_bin2base64(out + len, size - len, random, sizeof(random),
	    sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	sodium_memzero(random, sizeof(random));
}

void
key_new(char out[KEY_TEXT_SIZE])
{
	key_make(out, KEY_TEXT_SIZE, KEY_PREFIX);
}

void
key_ws_token_new(char out[KEY_WS_TOKEN_SIZE])
{
	key_make(out, KEY_WS_TOKEN_SIZE, WS_TOKEN_PREFIX);
}

static bool
key_char(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	    (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static bool
key_hash_text(const char *prefix, const char *text, size_t len,
    uint8_t out[KEY_HASH_SIZE])
{
	size_t start = strlen(prefix);

	if (len != start + KEY_BODY || memcmp(text, prefix, start) != 0)
		return false;
	for (size_t i = start; i < len; i++) {
		if (!key_char(text[i]))
			return false;
	}
	crypto_generichash(out, KEY_HASH_SIZE, (const uint8_t *)text, len, NULL,
	    0);
	return true;
}

bool
key_hash(const char *text, size_t len, uint8_t out[KEY_HASH_SIZE])
{
	return key_hash_text(KEY_PREFIX, text, len, out);
}

bool
key_ws_token_hash(const char *text, size_t len, uint8_t out[KEY_HASH_SIZE])
{
	return key_hash_text(WS_TOKEN_PREFIX, text, len, out);
}

bool
key_equal(const char *a, const char *b)
{
	uint8_t ha[KEY_HASH_SIZE], hb[KEY_HASH_SIZE];

	crypto_generichash(ha, sizeof(ha), (const uint8_t *)a, strlen(a), NULL,
	    0);
	crypto_generichash(hb, sizeof(hb), (const uint8_t *)b, strlen(b), NULL,
	    0);
	return sodium_memcmp(ha, hb, sizeof(ha)) == 0;
}

void
key_content_hash(uint8_t out[CONTENT_HASH_SIZE], const char *content,
    size_t content_len, const char *meta, size_t meta_len)
{
	crypto_generichash_state st;
	uint64_t len = content_len;

	/* The length in front keeps content and meta apart. */
	crypto_generichash_init(&st, NULL, 0, CONTENT_HASH_SIZE);
	crypto_generichash_update(&st, (const uint8_t *)&len, sizeof(len));
	crypto_generichash_update(&st, (const uint8_t *)content, content_len);
	if (meta_len > 0)
		crypto_generichash_update(&st, (const uint8_t *)meta, meta_len);
	crypto_generichash_final(&st, out, CONTENT_HASH_SIZE);
}
