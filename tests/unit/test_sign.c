/* SPDX-License-Identifier: MIT */
/* Signatures of webhooks, against fixed vectors. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <sodium.h>
#include <string.h>

#include "courier/sign.h"

/* The first is the example of the specification of Standard Webhooks; the
 * others were computed with Python's hmac. */
static const struct {
	const char *secret;
	const char *id;
	int64_t unix_s;
	const char *body;
	const char *standard;
	const char *whole;
} vectors[] = {
	{ "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
	    "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330,
	    "{\"test\": 2432232314}",
	    "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
	    "sha256=80ec8a89ce3cd22133a1066caecb4d04fea7467657c8514d717ec42c38a5c94c" },
	{ "not base64: plain bytes", "dlv_01jd8m3f6wq2v7k9x4ztbn", 1, "",
	    "v1,NhbWL6NQHIwvOu6FuvHHKxPK/fWsIpVrnoSNwsWUmvU=",
	    "sha256=f4ed199176d55cbd7435426611962d1f56024237c3676dd8eea06153241535fa" },
	/* Not padded, so no base64 of Standard Webhooks: used as it is. */
	{ "whsec_YWJjZA", "dlv_x", 1700000000, "{}",
	    "v1,3+MYXu0dZvekhaY0tNeDqv4VryTydk6Ahb+oQWzCitQ=",
	    "sha256=156ce4d635415f78bc9f1281851c93eff4f2810c3241bdff65707932334250e3" },
};

static void
test_vectors(void **state)
{
	char standard[SIGN_STANDARD_SIZE], whole[SIGN_BODY_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		const char *secret = vectors[i].secret, *body = vectors[i].body;

		sign_standard(standard, secret, strlen(secret), vectors[i].id,
		    vectors[i].unix_s, body, strlen(body));
		assert_string_equal(standard, vectors[i].standard);
		sign_body(whole, secret, strlen(secret), body, strlen(body));
		assert_string_equal(whole, vectors[i].whole);
	}
}

/* The longest secret there may be, of either kind. */
static void
test_long_secrets(void **state)
{
	char secret[512], a[SIGN_STANDARD_SIZE], b[SIGN_STANDARD_SIZE];

	(void)state;
	memset(secret, 'A', sizeof(secret));
	sign_standard(a, secret, sizeof(secret), "dlv_x", 1, "x", 1);
	memcpy(secret, "whsec_", 6);
	sign_standard(b, secret, 6 + 504, "dlv_x", 1, "x", 1);
	assert_string_not_equal(a, b);
	assert_int_equal(strlen(a), SIGN_STANDARD_SIZE - 1);
	assert_int_equal(strlen(b), SIGN_STANDARD_SIZE - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_long_secrets),
	};

	if (sodium_init() == -1)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
