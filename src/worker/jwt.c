/* SPDX-License-Identifier: MIT */
/*
 * JSON Web Tokens: taking them apart and checking signatures.  Runs in a
 * worker; does no I/O, keeps no state, and trusts nothing a token says about
 * how it is to be checked.
 */
#include "jwt.h"

#include <json-c/json.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "../common/json_check.h"
#include "../common/mem.h"

/* Claims that are not ours may nest like anything a client sends. */
#define CLAIMS_DEPTH JSON_DEPTH_MAX
/* Seconds beyond which only the sign matters. */
#define TIME_MAX INT64_C(1000000000000)

struct jwt_key {
	enum jwt_alg alg;
	union {
		crypto_auth_hmacsha256_state hs256; /* keyed, nothing added */
		uint8_t eddsa[JWT_PUBLIC_SIZE];
	} u;
};

static const char malformed[] =
    "The token is malformed: it must be header.claims.signature, each in "
    "base64url without padding.";

struct json_tokener *
jwt_tokener(void)
{
	struct json_tokener *t = json_tokener_new_ex(CLAIMS_DEPTH + 2);

	if (t != NULL)
		json_tokener_set_flags(t,
		    JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	return t;
}

/* One part of the token as a JSON object, new; NULL when it is none. */
static struct json_object *
part_object(struct json_tokener *t, const char *p, size_t len)
{
	char text[JWT_MAX];
	struct json_object *o;
	size_t n;

	if (sodium_base642bin((uint8_t *)text, sizeof(text), p, len, NULL, &n,
		NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
	    json_check(text, n, CLAIMS_DEPTH) != JSON_CHECK_OK)
		return NULL;
	json_tokener_reset(t);
	o = json_tokener_parse_ex(t, text, (int)n);
	if (json_object_is_type(o, json_type_object))
		return o;
	json_object_put(o);
	return NULL;
}

static const char *
header_read(struct jwt *j, struct json_object *o)
{
	struct json_object *v;
	const char *alg;

	/* RFC 7515 section 4.1.11: what is critical must be understood. */
	if (json_object_object_get_ex(o, "crit", &v))
		return "The token's header has crit, and no extension is "
		       "understood.";
	if (!json_object_object_get_ex(o, "alg", &v) ||
	    !json_object_is_type(v, json_type_string))
		return "The token's header has no alg.";
	alg = json_object_get_string(v);
	if (strcmp(alg, "HS256") == 0)
		j->alg = JWT_HS256;
	else if (strcmp(alg, "EdDSA") == 0)
		j->alg = JWT_EDDSA;
	/* A name with a NUL in it is none of them. */
	if (j->alg == JWT_NONE ||
	    strlen(alg) != (size_t)json_object_get_string_len(v))
		return "The token's alg must be HS256 or EdDSA, as the tenant "
		       "has it.";
	return NULL;
}

/* A NumericDate, which may have a fraction, in milliseconds. */
static bool
time_read(struct json_object *v, int64_t *ms)
{
	double real;
	int64_t s;

	if (json_object_is_type(v, json_type_int)) {
		s = json_object_get_int64(v);
		if (s > TIME_MAX)
			s = TIME_MAX;
		else if (s < -TIME_MAX)
			s = -TIME_MAX;
		*ms = s * 1000;
		return true;
	}
	if (!json_object_is_type(v, json_type_double))
		return false;
	real = json_object_get_double(v);
	if (real > (double)TIME_MAX)
		real = (double)TIME_MAX;
	else if (!(real >= -(double)TIME_MAX))
		real = -(double)TIME_MAX;
	*ms = (int64_t)(real * 1000);
	return true;
}

static const char *
times_read(struct jwt *j, struct json_object *o)
{
	struct json_object *v;

	j->begins_ms = INT64_MIN;
	if (!json_object_object_get_ex(o, "exp", &v) ||
	    !time_read(v, &j->expires_ms))
		return "The token needs exp, a number of seconds since 1970.";
	j->expires_ms += JWT_LEEWAY_MS;
	if (!json_object_object_get_ex(o, "nbf", &v))
		return NULL;
	if (!time_read(v, &j->begins_ms))
		return "The token's nbf must be a number of seconds since "
		       "1970.";
	j->begins_ms -= JWT_LEEWAY_MS;
	return NULL;
}

static const char *
claims_read(struct jwt *j, struct json_object *o)
{
	struct json_object *v;
	const char *p;

	if (!json_object_object_get_ex(o, "tid", &v) ||
	    !json_object_is_type(v, json_type_string) ||
	    (p = id_token_of(json_object_get_string(v),
		 (size_t)json_object_get_string_len(v), "tenant_")) == NULL)
		return "The token needs tid, the tenant's id (tenant_…).";
	memcpy(j->tenant, p, ID_TOKEN_LEN);
	j->tenant[ID_TOKEN_LEN] = '\0';
	if (!json_object_object_get_ex(o, "sub", &v) ||
	    !json_object_is_type(v, json_type_string) ||
	    !utf8_user_id_valid(json_object_get_string(v),
		(size_t)json_object_get_string_len(v)))
		return "The token needs sub, a user's id of 1 to 128 bytes of "
		       "UTF-8 without control characters.";
	j->user_len = (size_t)json_object_get_string_len(v);
	memcpy(j->user, json_object_get_string(v), j->user_len);
	j->user[j->user_len] = '\0';
	return times_read(j, o);
}

const char *
jwt_parse(struct jwt *j, struct json_tokener *t, const char *token, size_t len)
{
	const char *dot, *dot2, *why, *end = token + len;
	struct json_object *o;

	memset(j, 0, sizeof(*j));
	if (len > JWT_MAX)
		return "The token is longer than 4096 bytes.";
	dot = memchr(token, '.', len);
	if (dot == NULL ||
	    (dot2 = memchr(dot + 1, '.', (size_t)(end - dot - 1))) == NULL)
		return malformed;
	if (sodium_base642bin(j->signature, sizeof(j->signature), dot2 + 1,
		(size_t)(end - dot2 - 1), NULL, &j->signature_len, NULL,
		sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
		return malformed;
	j->signed_text = token;
	j->signed_len = (size_t)(dot2 - token);
	if ((o = part_object(t, token, (size_t)(dot - token))) == NULL)
		return "The token's header is no JSON object.";
	why = header_read(j, o);
	json_object_put(o);
	if (why != NULL)
		return why;
	o = part_object(t, dot + 1, (size_t)(dot2 - dot - 1));
	if (o == NULL)
		return "The token's claims are no JSON object.";
	why = claims_read(j, o);
	json_object_put(o);
	return why;
}

struct jwt_key *
jwt_key_new(enum jwt_alg alg, const uint8_t *p, size_t len)
{
	struct jwt_key *k;

	if (alg != JWT_HS256 && (alg != JWT_EDDSA || len != JWT_PUBLIC_SIZE))
		return NULL;
	k = mem_alloc(sizeof(*k));
	k->alg = alg;
	if (alg == JWT_HS256)
		crypto_auth_hmacsha256_init(&k->u.hs256, p, len);
	else
		memcpy(k->u.eddsa, p, JWT_PUBLIC_SIZE);
	return k;
}

void
jwt_key_free(struct jwt_key *k)
{
	if (k == NULL)
		return;
	sodium_memzero(k, sizeof(*k));
	free(k);
}

bool
jwt_verify(const struct jwt *j, const struct jwt_key *k)
{
	const uint8_t *text = (const uint8_t *)j->signed_text;
	uint8_t mac[crypto_auth_hmacsha256_BYTES];
	crypto_auth_hmacsha256_state st;
	bool same;

	if (j->alg != k->alg)
		return false;
	if (k->alg == JWT_EDDSA)
		return j->signature_len == crypto_sign_BYTES &&
		    crypto_sign_verify_detached(j->signature, text,
			j->signed_len, k->u.eddsa) == 0;
	if (j->signature_len != sizeof(mac))
		return false;
	st = k->u.hs256;
	crypto_auth_hmacsha256_update(&st, text, j->signed_len);
	crypto_auth_hmacsha256_final(&st, mac);
	same = sodium_memcmp(mac, j->signature, sizeof(mac)) == 0;
	sodium_memzero(mac, sizeof(mac));
	sodium_memzero(&st, sizeof(st));
	return same;
}

const char *
jwt_check_time(const struct jwt *j, int64_t now_ms)
{
	if (now_ms >= j->expires_ms)
		return "The token has expired (exp): get a new one.";
	if (now_ms < j->begins_ms)
		return "The token is not valid yet (nbf).";
	return NULL;
}
