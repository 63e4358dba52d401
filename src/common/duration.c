/* SPDX-License-Identifier: MIT */
/*
 * Durations in the notation of Go's time.ParseDuration, which the operators'
 * configurations already use.  Run by whoever reads settings or prints an
 * uptime.  Integers only: a double would round.
 */
#include "duration.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define NS_PER_MS UINT64_C(1000000)

static const struct {
	const char *name;
	uint64_t ns;
} units[] = {
	{ "ns", 1 },
	{ "us", 1000 },
	{ "\xc2\xb5s", 1000 }, /* U+00B5, micro sign */
	{ "\xce\xbcs", 1000 }, /* U+03BC, mu */
	{ "ms", NS_PER_MS },
	{ "s", 1000 * NS_PER_MS },
	{ "m", 60 * 1000 * NS_PER_MS },
	{ "h", 3600 * 1000 * NS_PER_MS },
};

static uint64_t
find_unit(const char *s, size_t len)
{
	size_t i;

	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strlen(units[i].name) == len &&
		    memcmp(units[i].name, s, len) == 0)
			return units[i].ns;
	return 0;
}

static bool
is_digit(char ch)
{
	return ch >= '0' && ch <= '9';
}

/* Adds n * unit to *sum, within Go's range of an int64 of nanoseconds. */
static int
add_times(uint64_t *sum, uint64_t n, uint64_t unit)
{
	if (n > INT64_MAX / unit || *sum > INT64_MAX - n * unit)
		return -1;
	*sum += n * unit;
	return 0;
}

/* Adds 0.DIGITS of a unit; what is below a nanosecond counts as one. */
static int
add_fraction(uint64_t *sum, const char *digits, size_t len, uint64_t unit)
{
	bool rest = false;
	size_t i;

	for (i = 0; i < len; i++) {
		if (unit % 10 != 0) {
			rest = rest || digits[i] != '0';
			continue;
		}
		unit /= 10;
		if (add_times(sum, (uint64_t)(digits[i] - '0'), unit) == -1)
			return -1;
	}
	return rest ? add_times(sum, 1, 1) : 0;
}

/* Reads one number and its unit; returns behind them, NULL when wrong. */
static const char *
read_part(const char *s, uint64_t *sum)
{
	const char *fraction = s, *unit;
	uint64_t n = 0, ns;
	size_t whole = 0, places = 0, len;

	for (; is_digit(*s); s++, whole++) {
		if (n > INT64_MAX / 10)
			return NULL;
		n = n * 10 + (uint64_t)(*s - '0');
	}
	if (*s == '.') {
		fraction = ++s;
		for (; is_digit(*s); s++)
			places++;
	}
	if (whole + places == 0)
		return NULL;
	unit = s;
	len = strcspn(unit, ".0123456789");
	ns = find_unit(unit, len);
	if (ns == 0 || add_times(sum, n, ns) == -1 ||
	    add_fraction(sum, fraction, places, ns) == -1)
		return NULL;
	return unit + len;
}

int
duration_parse(const char *s, uint64_t *ms)
{
	uint64_t ns = 0;

	if (*s == '+')
		s++;
	if (strcmp(s, "0") == 0) {
		*ms = 0;
		return 0;
	}
	do {
		s = read_part(s, &ns);
		if (s == NULL)
			return -1;
	} while (*s != '\0');
	*ms = ns / NS_PER_MS + (ns % NS_PER_MS != 0);
	return 0;
}

void
duration_format(char *out, size_t size, uint64_t ms)
{
	uint64_t hours = ms / 3600000, minutes = ms / 60000 % 60;
	unsigned seconds = (unsigned)(ms / 1000 % 60), rest = ms % 1000;
	char text[64];
	int n = 0, digits = 3;

	if (ms < 1000) {
		snprintf(out, size, ms == 0 ? "0s" : "%ums", rest);
		return;
	}
	if (hours != 0)
		n += snprintf(text, sizeof(text), "%lluh",
		    (unsigned long long)hours);
	if (minutes != 0)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "%um",
		    (unsigned)minutes);
	if (rest != 0) {
		for (; rest % 10 == 0; rest /= 10)
			digits--;
		snprintf(text + n, sizeof(text) - (size_t)n, "%u.%0*us",
		    seconds, digits, rest);
	} else if (seconds != 0)
		snprintf(text + n, sizeof(text) - (size_t)n, "%us", seconds);
	snprintf(out, size, "%s", text);
}
