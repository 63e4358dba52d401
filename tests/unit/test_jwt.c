/* SPDX-License-Identifier: MIT */
/*
 * Tokens: what is one, whose signature holds, and when.  The examples of
 * RFC 7515 and 8037, and data/jwt_vectors.txt by python3-jwt.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <json-c/json_tokener.h>
#include <sodium.h>

#include "worker/jwt.h"

#define TENANT "0123456789abcdefghjkmn"
#define HEAD "{\"alg\":\"HS256\"}"
#define WHO "\"tid\":\"tenant_" TENANT "\",\"sub\":\"alice\""
#define NOW INT64_C(1800000000000)
#define SECRET "a secret of the tenant's"

static struct json_tokener *tokener;

static size_t
unhex(uint8_t *out, const char *s)
{
	size_t n = 0;
	unsigned byte;

	for (; sscanf(s, "%2x", &byte) == 1; s += 2)
		out[n++] = (uint8_t)byte;
	assert_int_equal(*s, '\0');
	return n;
}

static void
base64(char *out, size_t size, const void *p, size_t len)
{
	sodium_bin2base64(out, size, p, len,
	    sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

/* A token signed with SECRET. */
static char *
token_of(const char *head, const char *claims)
{
	static char token[16384];
	uint8_t mac[crypto_auth_hmacsha256_BYTES];
	crypto_auth_hmacsha256_state st;
	size_t n;

	base64(token, sizeof(token), head, strlen(head));
	strcat(token, ".");
	n = strlen(token);
	base64(token + n, sizeof(token) - n, claims, strlen(claims));
	n = strlen(token);
	crypto_auth_hmacsha256_init(&st, (const uint8_t *)SECRET,
	    strlen(SECRET));
	crypto_auth_hmacsha256_update(&st, (const uint8_t *)token, n);
	crypto_auth_hmacsha256_final(&st, mac);
	token[n++] = '.';
	base64(token + n, sizeof(token) - n, mac, sizeof(mac));
	return token;
}

static const char *
parse(struct jwt *j, const char *token)
{
	return jwt_parse(j, tokener, token, strlen(token));
}

static void
assert_good(struct jwt *j, const char *claims)
{
	struct jwt_key *k = jwt_key_new(JWT_HS256, (const uint8_t *)SECRET,
	    strlen(SECRET));

	assert_null(parse(j, token_of(HEAD, claims)));
	assert_true(jwt_verify(j, k));
	jwt_key_free(k);
}

static void
assert_refused(const char *head, const char *claims, const char *word)
{
	struct jwt j;
	const char *why = parse(&j, token_of(head, claims));

	if (why == NULL || strstr(why, word) == NULL)
		fail_msg("%s.%s: %s, not about %s", head, claims,
		    why != NULL ? why : "good", word);
}

/* RFC 7515 appendix A.1, RFC 8037 appendix A.4: not our claims. */
static void
test_examples_of_the_rfcs(void **state)
{
	static const struct {
		enum jwt_alg alg;
		const char *key, *text, *signature;
	} all[] = {
		{ JWT_HS256,
		    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtM"
		    "N3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
		    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiL"
		    "A0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9"
		    "pc19yb290Ijp0cnVlfQ",
		    "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" },
		{ JWT_EDDSA, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
		    "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
		    "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iy"
		    "lGjg5BhVsPt9g7sVvpAr_MuM0KAg" },
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct jwt j = { .alg = (uint8_t)all[i].alg };
		struct jwt_key *k;
		uint8_t key[128];
		size_t n;

		assert_int_equal(sodium_base642bin(key, sizeof(key), all[i].key,
				     strlen(all[i].key), NULL, &n, NULL,
				     sodium_base64_VARIANT_URLSAFE_NO_PADDING),
		    0);
		assert_int_equal(sodium_base642bin(j.signature,
				     sizeof(j.signature), all[i].signature,
				     strlen(all[i].signature), NULL,
				     &j.signature_len, NULL,
				     sodium_base64_VARIANT_URLSAFE_NO_PADDING),
		    0);
		j.signed_text = all[i].text;
		j.signed_len = strlen(all[i].text);
		k = jwt_key_new(all[i].alg, key, n);
		assert_non_null(k);
		assert_true(jwt_verify(&j, k));
		for (size_t bit = 0; bit < 8 * j.signature_len; bit++) {
			j.signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_false(jwt_verify(&j, k));
			j.signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		j.signed_len--;
		assert_false(jwt_verify(&j, k));
		j.signed_len++;
		j.alg = j.alg == JWT_HS256 ? JWT_EDDSA : JWT_HS256;
		assert_false(jwt_verify(&j, k));
		jwt_key_free(k);
	}
}

static void
test_tokens_of_another_implementation(void **state)
{
	const char *dir = getenv("top_srcdir");
	char path[4096], line[8192], verdict[8], alg[8], key[2048], token[6000];
	unsigned n[2] = { 0, 0 };
	uint8_t raw[1024];
	struct jwt_key *k;
	struct jwt j;
	FILE *f;

	(void)state;
	snprintf(path, sizeof(path), "%s/tests/unit/data/jwt_vectors.txt",
	    dir != NULL ? dir : ".");
	f = fopen(path, "re");
	if (f == NULL)
		fail_msg("cannot open %s", path);
	while (fgets(line, sizeof(line), f) != NULL) {
		bool good, want;

		assert_int_equal(sscanf(line, "%7s %7s %2047s %5999s", verdict,
				     alg, key, token),
		    4);
		want = strcmp(verdict, "good") == 0;
		k = jwt_key_new(strcmp(alg, "EdDSA") == 0 ? JWT_EDDSA :
							    JWT_HS256,
		    raw, unhex(raw, key));
		assert_non_null(k);
		good = parse(&j, token) == NULL && jwt_verify(&j, k) &&
		    jwt_check_time(&j, NOW) == NULL;
		if (good != want)
			fail_msg("not %s: %s", verdict, token);
		if (good)
			assert_string_equal(j.tenant, TENANT);
		n[good]++;
		jwt_key_free(k);
	}
	fclose(f);
	assert_true(n[0] > 50 && n[1] > 15);
}

static void
test_claims(void **state)
{
	struct jwt j;

	(void)state;
	assert_good(&j, "{" WHO ",\"exp\":1800000001}");
	assert_string_equal(j.user, "alice");
	assert_int_equal(j.user_len, 5);
	assert_string_equal(j.tenant, TENANT);
	/* Unknown claims are ignored, the last of two counts. */
	assert_good(&j,
	    "{\"sub\":1,\"exp\":\"x\"," WHO ",\"exp\":1,\"exp\":1800000001,"
	    "\"aud\":[{}],\"iat\":\"then\",\"sub\":\"b\\u00f6b\"}");
	assert_string_equal(j.user,
	    "b\xc3\xb6"
	    "b");
	assert_int_equal(j.expires_ms, NOW + 1000 + JWT_LEEWAY_MS);
	/* Times may have a fraction and any size. */
	assert_good(&j, "{" WHO ",\"exp\":1800000000.5,\"nbf\":-1e300}");
	assert_int_equal(j.expires_ms, NOW + 500 + JWT_LEEWAY_MS);
	assert_null(jwt_check_time(&j, NOW));
	assert_good(&j,
	    "{" WHO ",\"exp\":18446744073709551615,\"nbf\":"
	    "-9223372036854775808}");
	assert_null(jwt_check_time(&j, NOW));
	assert_good(&j, "{" WHO ",\"exp\":-1e308}");
	assert_non_null(jwt_check_time(&j, NOW));
}

static void
test_what_is_refused(void **state)
{
	static const char *const bad_tid[] = { "1", "null", "\"\"", "\"alice\"",
		"\"" TENANT "\"", "\"tenant_\"", "\"room_" TENANT "\"",
		"\"tenant_" TENANT "x\"", "\"tenant_" TENANT "\\u0000\"",
		"[\"tenant_" TENANT "\"]" };
	static const char *const bad_sub[] = { "1", "null", "\"\"",
		"\"a\\u0000\"", "\"a\\n\"", "\"a\\u0085\"", "{}" };
	static const char *const bad_exp[] = { "null", "\"1800000001\"", "true",
		"[1]", "{}" };
	static const char *const bad_json[] = { "", "1", "[]", "null", "{",
		"{" WHO ",\"exp\":1}x", "{" WHO ",\"exp\":1,}",
		"{" WHO ",\"exp\":01}", "{" WHO ",\"exp\":NaN}",
		"{" WHO ",\"exp\":1e999}", "{'sub':1}",
		"{" WHO ",\"exp\":1,\"x\":\"\xff\"}",
		"{" WHO ",\"exp\":1,\"x\":\"\\ud800\"}",
		"{" WHO ",\"exp\":1,\"sub\\u0000\":\"b\"}" };
	char claims[512];

	(void)state;
	for (size_t i = 0; i < sizeof(bad_tid) / sizeof(bad_tid[0]); i++) {
		snprintf(claims, sizeof(claims),
		    "{\"sub\":\"a\",\"exp\":1,\"tid\":%s}", bad_tid[i]);
		assert_refused(HEAD, claims, "tid");
	}
	for (size_t i = 0; i < sizeof(bad_sub) / sizeof(bad_sub[0]); i++) {
		snprintf(claims, sizeof(claims),
		    "{" WHO ",\"exp\":1,\"sub\":%s}", bad_sub[i]);
		assert_refused(HEAD, claims, "sub");
	}
	for (size_t i = 0; i < sizeof(bad_exp) / sizeof(bad_exp[0]); i++) {
		snprintf(claims, sizeof(claims), "{" WHO ",\"exp\":%s}",
		    bad_exp[i]);
		assert_refused(HEAD, claims, "exp");
		snprintf(claims, sizeof(claims),
		    "{" WHO ",\"exp\":1,\"nbf\":%s}", bad_exp[i]);
		assert_refused(HEAD, claims, "nbf");
	}
	for (size_t i = 0; i < sizeof(bad_json) / sizeof(bad_json[0]); i++) {
		assert_refused(HEAD, bad_json[i], "claims");
		assert_refused(bad_json[i], "{" WHO ",\"exp\":1}",
		    strstr(bad_json[i], "\"exp\":1,\"sub") ? "" : "header");
	}
	assert_refused("{\"alg\":\"HS256\\u0000\"}", "{}", "alg");
	assert_refused("{\"alg\":\"hs256\"}", "{}", "alg");
	assert_refused("{\"alg\":\"none\"}", "{}", "alg");
	assert_refused("{\"alg\":[\"HS256\"]}", "{}", "alg");
	assert_refused("{}", "{}", "alg");
	assert_refused("{\"alg\":\"HS256\",\"crit\":null}", "{}", "crit");
	assert_refused(HEAD, "{" WHO "}", "exp");
}

static void
test_size_and_depth(void **state)
{
	char claims[4096];
	size_t n, most = 0;
	struct jwt j;

	(void)state;
	for (n = 2800; n < 3200; n++) {
		const char *token;

		snprintf(claims, sizeof(claims),
		    "{" WHO ",\"exp\":1,\"x\":\"%0*d\"}", (int)n, 0);
		token = token_of(HEAD, claims);
		if (parse(&j, token) == NULL)
			most = strlen(token);
		else
			assert_true(strlen(token) > JWT_MAX);
	}
	assert_in_range(most, JWT_MAX - 2, JWT_MAX);
	n = (size_t)snprintf(claims, sizeof(claims), "{" WHO ",\"x\":");
	memset(claims + n, '[', 1000);
	claims[n + 1000] = '\0';
	assert_refused(HEAD, claims, "claims");
}

/* Strictly base64url without padding, in exactly three parts. */
static void
test_encoding(void **state)
{
	static const char *const bad[] = { "", ".", "..", "...", "a.b", "a.b.c",
		"sk_x", "wst_x", "=.=.=" };
	char token[2048], *p;
	size_t len;
	struct jwt j;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_non_null(parse(&j, bad[i]));
	strcpy(token, token_of(HEAD, "{" WHO ",\"exp\":1}"));
	len = strlen(token);
	assert_null(parse(&j, token));
	for (const char *c = "+/= \n\t.%"; *c != '\0'; c++)
		for (size_t i = 0; i <= len; i++) {
			memmove(token + i + 1, token + i, len - i + 1);
			token[i] = *c;
			assert_non_null(jwt_parse(&j, tokener, token, len + 1));
			memmove(token + i, token + i + 1, len - i + 1);
		}
	/* 43 characters hold 258 bits: the last two are zero, or it is
	 * another text of the same bytes. */
	p = token + len - 1;
	assert_non_null(strchr("AEIMQUYcgkosw048", *p));
	*p += 1;
	assert_non_null(parse(&j, token));
	*p -= 1;
	assert_null(parse(&j, token));
	/* A NUL does not end it. */
	assert_non_null(jwt_parse(&j, tokener, token, len + 1));
}

static void
test_times(void **state)
{
	struct jwt j;

	(void)state;
	assert_good(&j, "{" WHO ",\"exp\":1800000000,\"nbf\":1700000000}");
	assert_null(jwt_check_time(&j, NOW + JWT_LEEWAY_MS - 1));
	assert_non_null(strstr(jwt_check_time(&j, NOW + JWT_LEEWAY_MS),
	    "expired"));
	assert_null(jwt_check_time(&j, INT64_C(1700000000000) - JWT_LEEWAY_MS));
	assert_non_null(strstr(jwt_check_time(&j,
				   INT64_C(1700000000000) - JWT_LEEWAY_MS - 1),
	    "nbf"));
}

static void
test_keys(void **state)
{
	uint8_t key[64] = { 1 };

	(void)state;
	assert_null(jwt_key_new(JWT_NONE, key, 32));
	assert_null(jwt_key_new(JWT_EDDSA, key, 31));
	assert_null(jwt_key_new(JWT_EDDSA, key, 33));
	assert_null(jwt_key_new(JWT_EDDSA, key, 64));
	jwt_key_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples_of_the_rfcs),
		cmocka_unit_test(test_tokens_of_another_implementation),
		cmocka_unit_test(test_claims),
		cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_size_and_depth),
		cmocka_unit_test(test_encoding),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_keys),
	};
	int failed;

	if (sodium_init() == -1 || (tokener = jwt_tokener()) == NULL)
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	json_tokener_free(tokener);
	return failed;
}
