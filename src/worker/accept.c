/* SPDX-License-Identifier: MIT */
/*
 * Reads an Accept header.  Runs in a worker; does no I/O and keeps no state.
 * What is malformed in it counts as not said.
 */
#include "accept.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#define BLANK " \t"

/* How closely a range fits a media type. */
enum fit { FIT_NONE, FIT_ANY, FIT_KIND, FIT_EXACT };

struct wish {
	enum fit fit;
	unsigned weight; /* thousandths */
};

static enum fit
range_fit(const char *range, size_t len, const char *type)
{
	size_t kind = strcspn(type, "/") + 1;

	if (len == 3 && memcmp(range, "*/*", 3) == 0)
		return FIT_ANY;
	if (len == kind + 1 && range[kind] == '*' &&
	    strncasecmp(range, type, kind) == 0)
		return FIT_KIND;
	if (len == strlen(type) && strncasecmp(range, type, len) == 0)
		return FIT_EXACT;
	return FIT_NONE;
}

/* "0", "0.5", "1.000": RFC 9110, section 12.4.2. */
static unsigned
weight_parse(const char *p, const char *end)
{
	unsigned value, digit = 100;

	if (p == end || (*p != '0' && *p != '1'))
		return 1000;
	value = *p++ == '1' ? 1000 : 0;
	if (p < end && *p == '.')
		p++;
	while (p < end && *p >= '0' && *p <= '9' && digit > 0) {
		value += digit * (unsigned)(*p++ - '0');
		digit /= 10;
	}
	return value > 1000 ? 1000 : value;
}

/* The weight among the parameters of a range, from its first ';'. */
static unsigned
range_weight(const char *p, const char *end)
{
	while (p < end) {
		const char *next;

		p++;
		p += strspn(p, BLANK);
		next = memchr(p, ';', p < end ? (size_t)(end - p) : 0);
		if (end - p > 2 && (*p == 'q' || *p == 'Q') && p[1] == '=')
			return weight_parse(p + 2, end);
		p = next != NULL ? next : end;
	}
	return 1000;
}

/* What the closest of the ranges says about a type. */
static struct wish
wish_for(const char *accept, const char *type)
{
	struct wish w = { FIT_NONE, 0 };

	while (*accept != '\0') {
		const char *p = accept + strspn(accept, BLANK);
		const char *end = accept + strcspn(accept, ",");
		size_t len = strcspn(p, BLANK ";,");
		enum fit fit = range_fit(p, len, type);

		if (fit > w.fit) {
			p += len + strspn(p + len, BLANK);
			w.fit = fit;
			w.weight = range_weight(p, end);
		}
		accept = *end == ',' ? end + 1 : end;
	}
	return w;
}

bool
accept_json(const char *accept)
{
	struct wish json, text;

	if (accept == NULL)
		return false;
	json = wish_for(accept, "application/json");
	text = wish_for(accept, "text/plain");
	return json.fit >= FIT_KIND && json.weight > 0 &&
	    json.weight >= text.weight;
}
