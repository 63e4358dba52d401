/* SPDX-License-Identifier: MIT */
/*
 * The strict JSON check that stands before json-c.  A worker runs it on each
 * frame and body, so strings are scanned eight bytes at a time and nesting is
 * a bit per level instead of recursion.  It must not allocate or look at the
 * locale.
 */
#include "json_check.h"

#include <float.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json_scan.h"
#include "utf8.h"

/* What the bitmap of open arrays and objects can hold. */
#define DEPTH_BITS 64

/* Digits of a real that are looked at when it is near the largest double.
 * The least number that overflows has 309, so what follows decides nothing. */
#define DIGITS_MAX 320
/* Decimal exponent of the largest double, written as 0.17…e309. */
#define EXPONENT_TOP 309
/* Exponents beyond this decide by themselves, whatever the digits are. */
#define EXPONENT_CAP INT64_C(1000000000000)

struct scan {
	const char *p;
	const char *end;
};

enum expect {
	EXPECT_VALUE,        /* anything */
	EXPECT_VALUE_OR_END, /* just after '[' */
	EXPECT_KEY,          /* after ',' in an object */
	EXPECT_KEY_OR_END,   /* just after '{' */
	EXPECT_NEXT          /* after a value: ',' or the end of what is open */
};

static void
skip_space(struct scan *s)
{
	while (s->p < s->end &&
	    (*s->p == ' ' || *s->p == '\n' || *s->p == '\r' || *s->p == '\t'))
		s->p++;
}

static bool
is_digit(const struct scan *s)
{
	return s->p < s->end && *s->p >= '0' && *s->p <= '9';
}

/* Four hexadecimal digits; -1 when they are not. */
static int
read_hex4(struct scan *s)
{
	int i, v = 0;
	char ch;

	if (s->end - s->p < 4)
		return -1;
	for (i = 0; i < 4; i++) {
		ch = *s->p++;
		v <<= 4;
		if (ch >= '0' && ch <= '9')
			v |= ch - '0';
		else if ((ch | 0x20) >= 'a' && (ch | 0x20) <= 'f')
			v |= (ch | 0x20) - 'a' + 10;
		else
			return -1;
	}
	return v;
}

/* Stands on the backslash. */
static enum json_check
check_escape(struct scan *s, bool *nul)
{
	int unit;

	s->p++;
	if (s->p == s->end)
		return JSON_CHECK_SYNTAX;
	switch (*s->p++) {
	case '"':
	case '\\':
	case '/':
	case 'b':
	case 'f':
	case 'n':
	case 'r':
	case 't':
		return JSON_CHECK_OK;
	case 'u':
		break;
	default:
		return JSON_CHECK_SYNTAX;
	}
	unit = read_hex4(s);
	if (unit == -1)
		return JSON_CHECK_SYNTAX;
	if (unit == 0)
		*nul = true;
	if (unit < 0xd800 || unit > 0xdfff)
		return JSON_CHECK_OK;
	if (unit > 0xdbff || s->end - s->p < 2 || s->p[0] != '\\' ||
	    s->p[1] != 'u')
		return JSON_CHECK_SURROGATE;
	s->p += 2;
	unit = read_hex4(s);
	if (unit == -1)
		return JSON_CHECK_SYNTAX;
	return unit >= 0xdc00 && unit <= 0xdfff ? JSON_CHECK_OK :
						  JSON_CHECK_SURROGATE;
}

/* Stands on the opening quote; *nul says whether the string has a U+0000. */
static enum json_check
check_string(struct scan *s, bool *nul)
{
	enum json_check res;
	size_t n;

	*nul = false;
	s->p++;
	for (;;) {
		s->p += json_scan_plain(s->p, (size_t)(s->end - s->p), true);
		if (s->p == s->end)
			return JSON_CHECK_SYNTAX;
		if (*s->p == '"') {
			s->p++;
			return JSON_CHECK_OK;
		}
		if (*s->p == '\\') {
			res = check_escape(s, nul);
			if (res != JSON_CHECK_OK)
				return res;
			continue;
		}
		if ((unsigned char)*s->p < 0x20)
			return JSON_CHECK_SYNTAX;
		n = utf8_run(s->p, (size_t)(s->end - s->p));
		if (n == 0)
			return JSON_CHECK_UTF8;
		s->p += n;
	}
}

static void
skip_digits(struct scan *s)
{
	while (is_digit(s))
		s->p++;
}

/* Decimal digits without a leading zero against the ends of (u)int64. */
static enum json_check
check_integer(const char *digits, size_t len, bool negative)
{
	const char *most = negative ? "9223372036854775808" :
				      "18446744073709551615";
	size_t n = strlen(most);

	if (len > n || (len == n && memcmp(digits, most, n) > 0))
		return JSON_CHECK_NUMBER;
	return JSON_CHECK_OK;
}

/* The written exponent, held at EXPONENT_CAP either way. */
static int64_t
read_exponent(const char *p, const char *end)
{
	bool negative = false;
	int64_t v = 0;

	if (p < end && (*p == '+' || *p == '-'))
		negative = *p++ == '-';
	for (; p < end; p++)
		if (v < EXPONENT_CAP)
			v = v * 10 + (*p - '0');
	return negative ? -v : v;
}

/*
 * Is digits[.digits][e…] finite as a double?  Written as 0.DDD * 10^e with
 * D not beginning with 0, the exponent alone decides unless it is the
 * largest double's own; then strtod() does, on a copy of bounded length.
 */
static enum json_check
check_real(const char *p, const char *end)
{
	char copy[DIGITS_MAX + 16], *o = copy;
	const char *exp = p;
	int64_t e = 0, places = 0;
	bool point = false;
	size_t kept = 0;

	while (exp < end && *exp != 'e' && *exp != 'E')
		exp++;
	if (exp < end)
		e = read_exponent(exp + 1, end);
	for (; p < exp; p++) {
		if (*p == '.') {
			point = true;
			continue;
		}
		if (kept > 0 || *p != '0') {
			places += !point;
			if (kept < DIGITS_MAX) {
				*o++ = *p;
				kept++;
			}
		} else
			places -= point;
	}
	if (kept == 0 || e + places < EXPONENT_TOP)
		return JSON_CHECK_OK;
	if (e + places > EXPONENT_TOP)
		return JSON_CHECK_NUMBER;
	/* Without a point, so that no locale can have a say. */
	snprintf(o, (size_t)(copy + sizeof(copy) - o), "e%d",
	    EXPONENT_TOP - (int)(o - copy));
	return strtod(copy, NULL) <= DBL_MAX ? JSON_CHECK_OK :
					       JSON_CHECK_NUMBER;
}

static enum json_check
check_number(struct scan *s)
{
	const char *start;
	bool negative = *s->p == '-', real = false;

	s->p += negative;
	if (!is_digit(s))
		return JSON_CHECK_SYNTAX;
	start = s->p;
	if (*s->p == '0')
		s->p++;
	else
		skip_digits(s);
	if (s->p < s->end && *s->p == '.') {
		real = true;
		s->p++;
		if (!is_digit(s))
			return JSON_CHECK_SYNTAX;
		skip_digits(s);
	}
	if (s->p < s->end && (*s->p == 'e' || *s->p == 'E')) {
		real = true;
		s->p++;
		if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
			s->p++;
		if (!is_digit(s))
			return JSON_CHECK_SYNTAX;
		skip_digits(s);
	}
	if (real)
		return check_real(start, s->p);
	return check_integer(start, (size_t)(s->p - start), negative);
}

static enum json_check
check_word(struct scan *s, const char *word)
{
	size_t n = strlen(word);

	if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
		return JSON_CHECK_SYNTAX;
	s->p += n;
	return JSON_CHECK_OK;
}

/* A value that nests nothing. */
static enum json_check
check_scalar(struct scan *s)
{
	bool nul;

	switch (*s->p) {
	case '"':
		return check_string(s, &nul);
	case 't':
		return check_word(s, "true");
	case 'f':
		return check_word(s, "false");
	case 'n':
		return check_word(s, "null");
	default:
		return check_number(s);
	}
}

/* Stands on what should be a key's quote; ends behind the colon. */
static enum json_check
check_key(struct scan *s)
{
	enum json_check res;
	bool nul;

	if (*s->p != '"')
		return JSON_CHECK_SYNTAX;
	res = check_string(s, &nul);
	if (res != JSON_CHECK_OK)
		return res;
	if (nul)
		return JSON_CHECK_KEY;
	skip_space(s);
	if (s->p == s->end || *s->p != ':')
		return JSON_CHECK_SYNTAX;
	s->p++;
	return JSON_CHECK_OK;
}

enum json_check
json_check(const char *text, size_t len, int depth_max)
{
	struct scan s = { .p = text, .end = text + len };
	enum expect expect = EXPECT_VALUE;
	enum json_check res;
	uint64_t objects = 0; /* bit 0: the innermost open one is an object */
	int depth = 0;
	char ch;

	if (depth_max > DEPTH_BITS)
		depth_max = DEPTH_BITS;
	for (;;) {
		skip_space(&s);
		if (s.p == s.end)
			return expect == EXPECT_NEXT && depth == 0 ?
			    JSON_CHECK_OK :
			    JSON_CHECK_SYNTAX;
		ch = *s.p;
		if (expect != EXPECT_VALUE && expect != EXPECT_KEY &&
		    depth > 0 && ch == ((objects & 1) ? '}' : ']')) {
			s.p++;
			objects >>= 1;
			depth--;
			expect = EXPECT_NEXT;
			continue;
		}
		switch (expect) {
		case EXPECT_NEXT:
			if (depth == 0 || ch != ',')
				return JSON_CHECK_SYNTAX;
			s.p++;
			expect = (objects & 1) ? EXPECT_KEY : EXPECT_VALUE;
			break;
		case EXPECT_KEY:
		case EXPECT_KEY_OR_END:
			res = check_key(&s);
			if (res != JSON_CHECK_OK)
				return res;
			expect = EXPECT_VALUE;
			break;
		case EXPECT_VALUE:
		case EXPECT_VALUE_OR_END:
			if (ch == '{' || ch == '[') {
				if (depth >= depth_max)
					return JSON_CHECK_DEPTH;
				s.p++;
				depth++;
				objects = objects << 1 | (ch == '{');
				expect = ch == '{' ? EXPECT_KEY_OR_END :
						     EXPECT_VALUE_OR_END;
				break;
			}
			res = check_scalar(&s);
			if (res != JSON_CHECK_OK)
				return res;
			expect = EXPECT_NEXT;
			break;
		}
	}
}

const char *
json_check_message(enum json_check res)
{
	switch (res) {
	case JSON_CHECK_OK:
		return "valid JSON";
	case JSON_CHECK_SYNTAX:
		return "this is not valid JSON (RFC 8259)";
	case JSON_CHECK_UTF8:
		return "a JSON string is not valid UTF-8";
	case JSON_CHECK_SURROGATE:
		return "a JSON string holds half of a surrogate pair";
	case JSON_CHECK_NUMBER:
		return "a number is too big to be kept exactly; send it as a"
		       " string";
	case JSON_CHECK_DEPTH:
		return "arrays and objects are nested too deep";
	case JSON_CHECK_KEY:
		return "the name of an object's member holds \\u0000";
	}
	return "this is not valid JSON";
}
