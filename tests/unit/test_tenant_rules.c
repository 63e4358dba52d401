/* SPDX-License-Identifier: MIT */
/* What may be set for a tenant, and which addresses are public. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/addr_public.h"
#include "common/tenant_rules.h"

static struct str
str(const char *s)
{
	return (struct str){ s, strlen(s) };
}

/* In memory of exactly its length, so that a look beyond it is noticed. */
static const char *
url(const char *text, size_t len, bool allow_private)
{
	char *copy = malloc(len > 0 ? len : 1);
	const char *why;

	assert_non_null(copy);
	memcpy(copy, text, len);
	why = tenant_rules_webhook_url((struct str){ copy, len },
	    allow_private);
	free(copy);
	return why;
}

static void
test_addresses(void **state)
{
	static const struct {
		const char *text;
		bool public;
	} cases[] = {
		{ "8.8.8.8", true },
		{ "9.255.255.255", true },
		{ "11.0.0.0", true },
		{ "10.0.0.0", false },
		{ "10.255.255.255", false },
		{ "100.63.255.255", true },
		{ "100.64.0.0", false },
		{ "100.127.255.255", false },
		{ "100.128.0.0", true },
		{ "127.0.0.0", false },
		{ "127.255.255.255", false },
		{ "128.0.0.0", true },
		{ "169.253.255.255", true },
		{ "169.254.0.0", false },
		{ "169.255.0.0", true },
		{ "172.15.255.255", true },
		{ "172.16.0.0", false },
		{ "172.31.255.255", false },
		{ "172.32.0.0", true },
		{ "192.0.0.255", false },
		{ "192.0.1.0", true },
		{ "192.167.255.255", true },
		{ "192.168.0.0", false },
		{ "192.169.0.0", true },
		{ "198.17.255.255", true },
		{ "198.19.255.255", false },
		{ "198.20.0.0", true },
		{ "0.0.0.0", false },
		{ "1.0.0.0", true },
		{ "223.255.255.255", true },
		{ "224.0.0.0", false },
		{ "255.255.255.255", false },
		{ "::", false },
		{ "::1", false },
		{ "::2", false },
		{ "::8.8.8.8", true },
		{ "::ffff:8.8.8.8", true },
		{ "::ffff:127.0.0.1", false },
		{ "::ffff:0:192.168.1.1", false },
		{ "64:ff9b::8.8.8.8", true },
		{ "64:ff9b::10.0.0.1", false },
		{ "64:ff9b:1::8.8.8.8", false },
		{ "100::1", false },
		{ "2000::1", true },
		{ "2001::1", false },
		{ "2001:4860:4860::8888", true },
		{ "2002:808:808::1", true },
		{ "2002:a00:1::1", false },
		{ "fbff::1", true },
		{ "fc00::", false },
		{ "fdff::1", false },
		{ "fe7f::1", true },
		{ "fe80::1", false },
		{ "febf::1", false },
		{ "fec0::1", false },
		{ "feff::1", false },
		{ "ff02::1", false },
	};
	uint8_t a[16];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool v6 = strchr(cases[i].text, ':') != NULL, public;

		assert_int_equal(inet_pton(v6 ? AF_INET6 : AF_INET,
				     cases[i].text, a),
		    1);
		public = v6 ? addr_public6(a) : addr_public4(a);
		if (public != cases[i].public)
			fail_msg("%s", cases[i].text);
	}
}

static void
test_urls(void **state)
{
	static const char *const good[] = { "http://a", "https://a/",
		"hTTps://a.b-c.d_e:443/x?y=%20&z", "https://xn--bcher-kva.ch/",
		"http://1a.2b/", "http://8.8.8.8:1/", "http://134744072/",
		"http://a./", "http://a?x", "http://a.b?@",
		"http://[2001:4860:4860::8888]:65535/",
		"http://3com.example/" };
	static const char *const bad[] = { "", "h", "http", "http:/", "http://",
		"http:///", "http://?", "http://:80/", "http://[", "http://[]",
		"http://[1.2.3.4]/", "http://[::g]/", "http://[2000::1]80/",
		"http://[2000::1]:/", "http://a:99999/", "http://a:+1/",
		"http://a b/", "http://a/ ", "http://a/\x7f", "http://a/\xc3",
		"http://a@b/", "http://a:b@c", "http://@a/", "http://a#",
		"http://a\\b", "http://./", "http://.a/", "http://a..b/",
		"http://a/\"", "http://a/<", "ws://a/", "file:///etc/passwd",
		"http://1.2.3.4.5/", "http://256.256.256.256/", "http://a.1/",
		"http://08.1/" };
	char text[TENANT_URL_MAX + 2];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (url(good[i], strlen(good[i]), false) != NULL)
			fail_msg("refused: %s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (url(bad[i], strlen(bad[i]), true) == NULL)
			fail_msg("accepted: %s", bad[i]);
	assert_non_null(url("http://a\0b/", 11, true));
	memset(text, 'x', sizeof(text));
	memcpy(text, "http://a/", 9);
	assert_null(url(text, TENANT_URL_MAX, false));
	assert_non_null(url(text, TENANT_URL_MAX + 1, true));
	/* A name of 253 bytes in labels of 63. */
	for (int i = 7; i < 7 + 253; i++)
		text[i] = (i - 6) % 64 == 0 ? '.' : 'a';
	assert_null(url(text, 7 + 253, false));
	text[7 + 253] = 'a';
	assert_non_null(url(text, 7 + 254, true));
	text[7 + 63] = 'a';
	assert_non_null(url(text, 7 + 100, true));
}

/* Every form of one address, and that they may be allowed. */
static void
test_private_urls(void **state)
{
	static const char *const hosts[] = { "127.0.0.1", "127.1", "127.0.1",
		"2130706433", "0x7f000001", "0X7F.0.0.1", "0177.1",
		"017700000001", "127.0.0.1.", "0", "0.", "10.0.0.1",
		"192.168.257", "[::1]", "[::]", "[::ffff:7f00:1]",
		"[0000:0000:0000:0000:0000:ffff:127.0.0.1]", "[fe80::1]" };
	char text[128];

	(void)state;
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		int n = snprintf(text, sizeof(text), "http://%s:80/", hosts[i]);

		if (url(text, (size_t)n, false) == NULL)
			fail_msg("accepted: %s", text);
		if (url(text, (size_t)n, true) != NULL)
			fail_msg("refused: %s", text);
	}
}

static void
test_names_and_secrets(void **state)
{
	char text[TENANT_SECRET_MAX + 2];

	(void)state;
	memset(text, 'x', sizeof(text));
	assert_non_null(tenant_rules_name(str("")));
	assert_null(tenant_rules_name((struct str){ text, TENANT_NAME_MAX }));
	assert_non_null(tenant_rules_name((struct str){ text,
	    TENANT_NAME_MAX + 1 }));
	assert_non_null(tenant_rules_name(str("\xff")));
	assert_non_null(tenant_rules_webhook_secret(str("")));
	assert_null(tenant_rules_webhook_secret(str("x")));
	assert_non_null(tenant_rules_webhook_secret(str("x\n")));
	assert_non_null(tenant_rules_webhook_secret(str("\xc0\x80")));
	assert_null(tenant_rules_webhook_secret((struct str){ text,
	    TENANT_SECRET_MAX }));
	assert_non_null(tenant_rules_webhook_secret((struct str){ text,
	    TENANT_SECRET_MAX + 1 }));
	assert_non_null(tenant_rules_jwt_secret((struct str){ text, 31 }));
	assert_null(tenant_rules_jwt_secret((struct str){ text, 32 }));
	assert_null(tenant_rules_jwt_secret((struct str){ text,
	    TENANT_SECRET_MAX }));
	assert_non_null(tenant_rules_jwt_secret((struct str){ text,
	    TENANT_SECRET_MAX + 1 }));
	text[7] = '\0';
	assert_non_null(tenant_rules_jwt_secret((struct str){ text, 40 }));
}

static void
test_new_secret(void **state)
{
	char a[TENANT_WHSEC_SIZE], b[TENANT_WHSEC_SIZE];
	uint8_t raw[32];
	size_t len;

	(void)state;
	tenant_rules_new_secret(a);
	tenant_rules_new_secret(b);
	assert_string_not_equal(a, b);
	assert_memory_equal(a, "whsec_", 6);
	assert_int_equal(strlen(a), TENANT_WHSEC_SIZE - 1);
	assert_int_equal(sodium_base642bin(raw, sizeof(raw), a + 6,
			     strlen(a + 6), NULL, &len, NULL,
			     sodium_base64_VARIANT_ORIGINAL),
	    0);
	assert_int_equal(len, 32);
	assert_null(tenant_rules_webhook_secret(str(a)));
}

/* RFC 8410 section 10.1, RFC 8037 appendix A.2. */
static void
test_public_keys(void **state)
{
	static const char pem[] =
	    "-----BEGIN PUBLIC KEY-----\n"
	    "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
	    "-----END PUBLIC KEY-----\n";
	static const char jwk[] = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
	uint8_t key[TENANT_JWT_PUBLIC_SIZE], wanted[TENANT_JWT_PUBLIC_SIZE];
	char text[sizeof(pem)];

	(void)state;
	assert_null(tenant_rules_jwt_public_key(str(pem), key));
	sodium_hex2bin(wanted, sizeof(wanted),
	    "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1",
	    64, NULL, NULL, NULL);
	assert_memory_equal(key, wanted, sizeof(key));
	assert_null(tenant_rules_jwt_public_key(str(jwk), key));
	sodium_hex2bin(wanted, sizeof(wanted),
	    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
	    64, NULL, NULL, NULL);
	assert_memory_equal(key, wanted, sizeof(key));
	for (size_t len = 0; len < sizeof(pem) - 2; len++)
		assert_non_null(tenant_rules_jwt_public_key((struct str){ pem,
								len },
		    key));
	for (size_t i = 0; i < sizeof(pem) - 2; i++) {
		memcpy(text, pem, sizeof(pem));
		text[i] = '\0';
		assert_non_null(tenant_rules_jwt_public_key((struct str){ text,
								sizeof(pem) -
								    1 },
		    key));
	}
	for (size_t len = 0; len < sizeof(jwk) - 1; len++)
		assert_non_null(tenant_rules_jwt_public_key((struct str){ jwk,
								len },
		    key));
	/* A point of order two. */
	assert_non_null(tenant_rules_jwt_public_key(
	    str("7P________________________________________8"), key));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_private_urls),
		cmocka_unit_test(test_names_and_secrets),
		cmocka_unit_test(test_new_secret),
		cmocka_unit_test(test_public_keys),
	};

	return sodium_init() == -1 ? 1 :
				     cmocka_run_group_tests(tests, NULL, NULL);
}
