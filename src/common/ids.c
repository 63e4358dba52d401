/* SPDX-License-Identifier: MIT */
/*
 * Public ids and the hub's routing keys.  Every process uses them; pure but
 * for libsodium's randomness.
 */
#include "ids.h"

#include <sodium.h>
#include <string.h>

static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";

#define MS_DIGITS 10
#define RANDOM_DIGITS 12
#define SEQ_DIGITS 9

static void
id_put(char *out, uint64_t v, int n)
{
	for (int i = n - 1; i >= 0; i--) {
		out[i] = digits[v & 31];
		v >>= 5;
	}
}

/* Value of one digit, -1 when it is none. */
static int
id_digit(char c)
{
	const char *p = c == '\0' ? NULL : strchr(digits, c);

	return p == NULL ? -1 : (int)(p - digits);
}

static int
id_get(const char *s, int n, uint64_t *out)
{
	uint64_t v = 0;

	for (int i = 0; i < n; i++) {
		int d = id_digit(s[i]);

		if (d == -1)
			return -1;
		v = v << 5 | (uint64_t)d;
	}
	*out = v;
	return 0;
}

void
id_token_new(char out[ID_TOKEN_SIZE], int64_t unix_ms)
{
	uint64_t random;

	randombytes_buf(&random, sizeof(random));
	id_put(out, (uint64_t)unix_ms, MS_DIGITS);
	id_put(out + MS_DIGITS, random, RANDOM_DIGITS);
	out[ID_TOKEN_LEN] = '\0';
}

bool
id_token_valid(const char *s, size_t len)
{
	uint64_t v;

	return len == ID_TOKEN_LEN && id_get(s, MS_DIGITS, &v) == 0 &&
	    id_get(s + MS_DIGITS, RANDOM_DIGITS, &v) == 0;
}

const char *
id_token_of(const char *s, size_t len, const char *prefix)
{
	size_t n = strlen(prefix);

	if (len != n + ID_TOKEN_LEN || memcmp(s, prefix, n) != 0 ||
	    !id_token_valid(s + n, ID_TOKEN_LEN))
		return NULL;
	return s + n;
}

void
id_message(char out[ID_MESSAGE_SIZE], const char *room_token,
    int64_t created_ms, uint64_t seq)
{
	char *p = out;

	memcpy(p, "msg_", 4);
	p += 4;
	id_put(p, (uint64_t)created_ms, MS_DIGITS);
	p += MS_DIGITS;
	memcpy(p, room_token, ID_TOKEN_LEN);
	p += ID_TOKEN_LEN;
	id_put(p, seq, SEQ_DIGITS);
	p[SEQ_DIGITS] = '\0';
}

int
id_message_parse(const char *s, size_t len, char room_token[ID_TOKEN_SIZE],
    int64_t *created_ms, uint64_t *seq)
{
	uint64_t ms;

	if (len != ID_MESSAGE_SIZE - 1 || memcmp(s, "msg_", 4) != 0)
		return -1;
	s += 4;
	if (id_get(s, MS_DIGITS, &ms) == -1 ||
	    !id_token_valid(s + MS_DIGITS, ID_TOKEN_LEN) ||
	    id_get(s + MS_DIGITS + ID_TOKEN_LEN, SEQ_DIGITS, seq) == -1)
		return -1;
	memcpy(room_token, s + MS_DIGITS, ID_TOKEN_LEN);
	room_token[ID_TOKEN_LEN] = '\0';
	*created_ms = (int64_t)ms;
	return 0;
}

/* Copies a user id with '%' and ':' percent-encoded; returns the end. */
static char *
id_escape(char *to, const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (s[i] == '%' || s[i] == ':') {
			memcpy(to, s[i] == '%' ? "%25" : "%3A", 3);
			to += 3;
		} else {
			*to++ = s[i];
		}
	}
	return to;
}

void
id_dm_key(char out[ID_DM_KEY_SIZE], const char *a, size_t alen, const char *b,
    size_t blen)
{
	int order = memcmp(a, b, alen < blen ? alen : blen);
	char *p;

	if (order > 0 || (order == 0 && alen > blen)) {
		p = id_escape(out, b, blen);
		*p++ = ':';
		p = id_escape(p, a, alen);
	} else {
		p = id_escape(out, a, alen);
		*p++ = ':';
		p = id_escape(p, b, blen);
	}
	*p = '\0';
}

/* Never 0. */
static uint64_t
id_hash(const uint8_t *p, size_t len)
{
	/* Fixed: all processes must agree, and a collision is harmless. */
	static const uint8_t key[crypto_shorthash_KEYBYTES] = "chatapi-hub-key";
	uint64_t h;

	crypto_shorthash((uint8_t *)&h, p, len, key);
	return h == 0 ? 1 : h;
}

uint64_t
id_room_key(uint64_t room)
{
	/* A bijection (the finaliser of SplitMix64): no two rooms share a
	 * key, and the low bits spread. */
	uint64_t z = room + UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	z ^= z >> 31;
	return z == 0 ? 1 : z;
}

uint64_t
id_user_key(uint64_t tenant, const char *user, size_t len)
{
	uint8_t text[8 + 128];

	if (len > 128)
		len = 128;
	memcpy(text, &tenant, 8);
	memcpy(text + 8, user, len);
	return id_hash(text, 8 + len);
}
