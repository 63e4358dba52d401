/* SPDX-License-Identifier: MIT */
/*
 * Request targets and the bytes of requests: whatever comes, what is taken
 * apart is text that stays inside its buffer, is found again, and does not
 * depend on how the bytes were cut.
 */
#include "fuzz.h"

#include <stdbool.h>
#include <string.h>

#include "common/utf8.h"
#include "worker/http_scan.h"
#include "worker/route.h"

static void
check_text(const struct route_target *t, struct str s)
{
	FUZZ_CHECK(s.p >= t->text);
	FUZZ_CHECK(s.p + s.len < t->text + sizeof(t->text));
	FUZZ_CHECK(s.p[s.len] == '\0');
	FUZZ_CHECK(strlen(s.p) == s.len);
	FUZZ_CHECK(utf8_valid(s.p, s.len));
	for (size_t i = 0; i < s.len; i++)
		FUZZ_CHECK((unsigned char)s.p[i] >= 0x20 && s.p[i] != 0x7f);
}

static void
check_match(const struct route_target *t, enum route_method method)
{
	struct route_match m;
	char allow[ROUTE_ALLOW_SIZE];

	route_match(&m, t, method);
	FUZZ_CHECK(m.nparams <= ROUTE_PARAMS_MAX);
	FUZZ_CHECK((m.route != NULL) == ((m.allowed & method) != 0));
	FUZZ_CHECK(t->nsegments > 0 || m.allowed == 0);
	if (m.route != NULL)
		for (unsigned i = 0; i < m.nparams; i++)
			check_text(t, m.params[i]);
	route_allow(allow, m.allowed);
	FUZZ_CHECK((allow[0] == '\0') == (m.allowed == 0));
}

static void
check_target(const char *s, size_t len)
{
	static struct route_target t;
	const char *field, *why = route_target_parse(&t, s, len, &field);

	if (why != NULL) {
		FUZZ_CHECK(*why != '\0');
		FUZZ_CHECK(field == NULL || utf8_valid(field, strlen(field)));
		return;
	}
	FUZZ_CHECK(len <= ROUTE_TARGET_MAX && field == NULL);
	FUZZ_CHECK(t.nsegments <= ROUTE_SEGMENTS_MAX);
	FUZZ_CHECK(t.npairs <= ROUTE_QUERY_MAX);
	for (unsigned i = 0; i < t.nsegments; i++) {
		check_text(&t, t.segments[i]);
		FUZZ_CHECK(t.segments[i].len > 0);
	}
	for (unsigned i = 0; i < t.npairs; i++) {
		check_text(&t, t.pairs[i].name);
		check_text(&t, t.pairs[i].value);
		FUZZ_CHECK(route_target_query(&t, t.pairs[i].name.p) != NULL);
	}
	for (unsigned method = ROUTE_GET; method <= ROUTE_OTHER; method *= 2)
		check_match(&t, method);
}

static void
check_scan(const char *s, size_t len)
{
	struct http_scan whole, cut;

	http_scan_begin(&whole);
	http_scan_bytes(&whole, s, len, 1000);
	http_scan_begin(&cut);
	for (size_t i = 0; i < len; i++)
		http_scan_bytes(&cut, s + i, 1, 1000);
	FUZZ_CHECK(cut.state == whole.state && cut.nul == whole.nul);
	FUZZ_CHECK(cut.chunked == whole.chunked && cut.lost == whole.lost);
	FUZZ_CHECK(cut.last == whole.last && cut.body == whole.body);
	FUZZ_CHECK(memchr(whole.origin, '\0', sizeof(whole.origin)) != NULL);
	FUZZ_CHECK(strcmp(cut.origin, whole.origin) == 0);
	FUZZ_CHECK(whole.state == HTTP_SCAN_TOO_LONG || whole.body <= 1000);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_target((const char *)data, size);
	check_scan((const char *)data, size);
	return 0;
}
