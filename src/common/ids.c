/* SPDX-License-Identifier: MIT */
/*
 * Public ids and the hub's routing keys.  Every process uses them; pure but
 * for libsodium's randomness.
 */
#include "ids.h"

#include <sodium.h>
#include <string.h>

static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";

/* One more than a digit's value, so that 0 is no digit. */
static const uint8_t values[256] = { ['0'] = 1,
	['1'] = 2,
	['2'] = 3,
	['3'] = 4,
	['4'] = 5,
	['5'] = 6,
	['6'] = 7,
	['7'] = 8,
	['8'] = 9,
	['9'] = 10,
	['a'] = 11,
	['b'] = 12,
	['c'] = 13,
	['d'] = 14,
	['e'] = 15,
	['f'] = 16,
	['g'] = 17,
	['h'] = 18,
	['j'] = 19,
	['k'] = 20,
	['m'] = 21,
	['n'] = 22,
	['p'] = 23,
	['q'] = 24,
	['r'] = 25,
	['s'] = 26,
	['t'] = 27,
	['v'] = 28,
	['w'] = 29,
	['x'] = 30,
	['y'] = 31,
	['z'] = 32 };

#define MS_MAX ((INT64_C(1) << 50) - 1)
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

/* A time that no 10 digits can hold becomes the nearest that they can. */
static void
id_put_ms(char *out, int64_t ms)
{
	id_put(out, ms < 0 ? 0 : (uint64_t)(ms > MS_MAX ? MS_MAX : ms),
	    MS_DIGITS);
}

static int
id_get(const char *s, int n, uint64_t *out)
{
	uint64_t v = 0;

	for (int i = 0; i < n; i++) {
		uint8_t d = values[(uint8_t)s[i]];

		if (d == 0)
			return -1;
		v = v << 5 | (uint64_t)(d - 1);
	}
	*out = v;
	return 0;
}

void
id_token_new(char out[ID_TOKEN_SIZE], int64_t unix_ms)
{
	uint64_t random;

	randombytes_buf(&random, sizeof(random));
	id_put_ms(out, unix_ms);
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
	id_put_ms(p, created_ms);
	p += MS_DIGITS;
	memcpy(p, room_token, ID_TOKEN_LEN);
	p += ID_TOKEN_LEN;
	id_put(p, seq > ID_SEQ_MAX ? ID_SEQ_MAX : seq, SEQ_DIGITS);
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
	    id_get(s + MS_DIGITS + ID_TOKEN_LEN, SEQ_DIGITS, seq) == -1 ||
	    *seq == 0)
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
