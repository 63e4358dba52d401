/* SPDX-License-Identifier: MIT */
/* Networks of trusted proxies, and whose address X-Forwarded-For gives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "common/addr_nets.h"
#include "worker/forwarded.h"
#include "worker/guard.h"

static void
test_lists(void **state)
{
	static const char *const good[] = { "10.0.0.1", "10.0.0.0/8", "unix",
		" ::1 , unix,fe80::/10\t", "0.0.0.0/0", "::/0",
		"::ffff:10.0.0.1/128" };
	static const char *const bad[] = { "", ",", "10.0.0.1,", "10.0.0.0/33",
		"10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8 /8", "::/129", "10.0.0",
		"Unix", "unix:", "[::1]", "10.0.0.1:80",
		"1:2:3:4:5:6:7:8:9:1:2:3:4:5:6:7:8:9:1:2:3:4:5:6:7:8:9:1:2:3:4",
		"10.0.0.0/99999999999999999999" };
	struct addr_nets l;

	(void)state;
	assert_int_equal(addr_nets_parse(&l, NULL), 0);
	assert_int_equal(l.n, 0);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(addr_nets_parse(&l, good[i]), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(addr_nets_parse(&l, bad[i]), -1);
}

static void
test_too_many(void **state)
{
	char list[ADDR_NETS_MAX * 3 + 8] = "::";
	struct addr_nets l;

	(void)state;
	for (int i = 1; i < ADDR_NETS_MAX; i++)
		strcat(list, ",::");
	assert_int_equal(addr_nets_parse(&l, list), 0);
	strcat(list, ",::");
	assert_int_equal(addr_nets_parse(&l, list), -1);
}

static bool
has(const char *list, const char *text)
{
	struct addr_nets l;
	struct addr a;

	assert_int_equal(addr_nets_parse(&l, list), 0);
	assert_int_equal(addr_parse(&a, text, strlen(text)), 0);
	return addr_nets_has(&l, &a);
}

static void
test_membership(void **state)
{
	(void)state;
	assert_true(has("10.0.0.0/8", "10.255.0.1"));
	assert_false(has("10.0.0.0/8", "11.0.0.1"));
	assert_true(has("172.16.0.0/12", "172.31.255.255"));
	assert_false(has("172.16.0.0/12", "172.32.0.0"));
	assert_true(has("192.0.2.1", "192.0.2.1"));
	assert_true(has("192.0.2.1", "::ffff:192.0.2.1"));
	assert_false(has("192.0.2.1", "192.0.2.2"));
	assert_true(has("0.0.0.0/0", "8.8.8.8"));
	assert_false(has("0.0.0.0/0", "2001:db8::1"));
	assert_true(has("::/0", "8.8.8.8"));
	assert_true(has("2001:db8::/33", "2001:db8:7fff::"));
	assert_false(has("2001:db8::/33", "2001:db8:8000::"));
	assert_true(has("unix,::1", "::1"));
	assert_false(has("unix", "::1"));
}

static void
test_addresses(void **state)
{
	static const char *const bad[] = { "", " ", "unknown", "_hidden",
		"1.2.3", "1.2.3.4.5", "1.2.3.4:5:6", "[::1", "[::1]x", "::1]",
		"[1.2.3.4", "1.2.3.4 ", "fe80::1%lo" };
	struct addr a;
	char out[ADDR_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(addr_parse(&a, bad[i], strlen(bad[i])), -1);
	assert_int_equal(addr_parse(&a, "1.2.3.4:80", 10), 0);
	assert_string_equal(addr_text(&a, out), "1.2.3.4");
	assert_int_equal(addr_parse(&a, "[2001:DB8::1]:80", 16), 0);
	assert_string_equal(addr_text(&a, out), "2001:db8::1");
	assert_int_equal(addr_parse(&a, "::1", 3), 0);
	assert_string_equal(addr_text(&a, out), "::1");
}

static void
check_client(const struct guard_header *h, size_t n, const char *want)
{
	struct addr_nets l;
	char out[ADDR_TEXT];

	assert_int_equal(addr_nets_parse(&l, "10.0.0.0/8"), 0);
	forwarded_for(&l, h, n, "10.0.0.1", out);
	assert_string_equal(out, want);
}

static void
test_client(void **state)
{
	static const struct {
		const char *first, *second, *want;
	} all[] = {
		{ "192.0.2.1", NULL, "192.0.2.1" },
		{ "192.0.2.1, 192.0.2.2", NULL, "192.0.2.2" },
		{ "192.0.2.1", "192.0.2.2", "192.0.2.2" },
		{ "192.0.2.1", "10.9.9.9", "192.0.2.1" },
		{ "192.0.2.1 ,\t10.9.9.9", "10.8.8.8", "192.0.2.1" },
		{ "10.7.7.7", "10.8.8.8", "10.7.7.7" },
		{ "192.0.2.1, x", "10.8.8.8", "10.8.8.8" },
		{ "192.0.2.1", "", "10.0.0.1" },
		{ ",", NULL, "10.0.0.1" },
		{ " , ", NULL, "10.0.0.1" },
		{ "192.0.2.1,", NULL, "10.0.0.1" },
	};

	(void)state;
	check_client(NULL, 0, "10.0.0.1");
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct guard_header h[3] = { { "x-forwarded-for",
						 all[i].first },
			{ "Host", "x" }, { "X-FORWARDED-FOR", all[i].second } };

		check_client(h, all[i].second != NULL ? 3 : 2, all[i].want);
	}
}

static void
test_one_value(void **state)
{
	struct guard_header h[] = { { "X-Forwarded-Proto", "https" },
		{ "X-Forwarded-Host", "a" }, { "x-forwarded-host", "b" },
		{ "X-A", "a,b" }, { "X-B", "" } };

	(void)state;
	assert_string_equal(forwarded_one(h, 5, "X-FORWARDED-PROTO"), "https");
	assert_null(forwarded_one(h, 5, "X-Forwarded-Host"));
	assert_string_equal(forwarded_one(h, 2, "X-Forwarded-Host"), "a");
	assert_null(forwarded_one(h, 5, "X-A"));
	assert_null(forwarded_one(h, 5, "X-B"));
	assert_null(forwarded_one(h, 5, "X-C"));
}

static void
test_trust(void **state)
{
	struct addr_nets l;

	(void)state;
	assert_int_equal(addr_nets_parse(&l, NULL), 0);
	assert_false(forwarded_trusted(&l, "10.0.0.1", false));
	assert_false(forwarded_trusted(&l, "unix", true));
	assert_int_equal(addr_nets_parse(&l, "10.0.0.1"), 0);
	assert_true(forwarded_trusted(&l, "10.0.0.1", false));
	assert_false(forwarded_trusted(&l, "10.0.0.2", false));
	assert_false(forwarded_trusted(&l, "-", false));
	assert_false(forwarded_trusted(&l, "10.0.0.1", true));
	assert_int_equal(addr_nets_parse(&l, "unix"), 0);
	assert_true(forwarded_trusted(&l, "unix", true));
	assert_false(forwarded_trusted(&l, "unix", false));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_membership),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_client),
		cmocka_unit_test(test_one_value),
		cmocka_unit_test(test_trust),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
