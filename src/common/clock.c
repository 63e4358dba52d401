/* SPDX-License-Identifier: MIT */
/*
 * The clocks.  Every process uses them; the real one can be moved by a test
 * through a file, so that no test has to wait.
 */
#include "clock.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define DAY_MS UINT64_C(86400000)
#define YEAR_1_MS INT64_C(-62135596800000)    /* 0001-01-01T00:00:00.000Z */
#define YEAR_9999_MS INT64_C(253402300799999) /* its last millisecond */
/* A test moves the clock by 30,000 years at most: sums cannot overflow. */
#define TEST_OFFSET_MAX INT64_C(1000000000000000)

uint64_t
clock_mono_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

uint64_t
clock_mono_ms(void)
{
	return clock_mono_ns() / 1000000;
}

/* The offset that a test asks for; 0 when the file cannot be read. */
static int64_t
clock_test_offset(const char *path)
{
	FILE *f = fopen(path, "re");
	long long offset = 0;

	if (f == NULL)
		return 0;
	if (fscanf(f, "%lld", &offset) != 1 || offset > TEST_OFFSET_MAX ||
	    offset < -TEST_OFFSET_MAX)
		offset = 0;
	fclose(f);
	return offset;
}

int64_t
clock_unix_ms(void)
{
	static const char *test_file;
	static bool looked;
	struct timespec ts;
	int64_t ms;

	if (!looked) {
		test_file = getenv("CHATAPI_TEST_CLOCK_FILE");
		looked = true;
	}
	clock_gettime(CLOCK_REALTIME, &ts);
	ms = (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
	if (test_file != NULL)
		ms += clock_test_offset(test_file);
	return ms;
}

static char *
clock_digits(char *p, unsigned v, int width)
{
	for (int i = width - 1; i >= 0; i--) {
		p[i] = (char)('0' + v % 10);
		v /= 10;
	}
	return p + width;
}

/* 1 January of a year, counted in days from that of year 1. */
static unsigned
clock_year_start(unsigned year)
{
	unsigned before = year - 1;

	return before * 365 + before / 4 - before / 100 + before / 400;
}

/* Adds "YYYY-MM-DD"; days count from 1 January of year 1. */
static char *
clock_date(char *p, unsigned days)
{
	static const uint16_t starts[2][13] = {
		{ 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365 },
		{ 0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335, 366 },
	};
	/* The mean year is too long by less than a day in 400 years, so the
	 * guess is this year or the one before. */
	unsigned year = (unsigned)((uint64_t)days * 400 / 146097) + 1;
	unsigned month, leap;

	if (days >= clock_year_start(year + 1))
		year++;
	else if (days < clock_year_start(year))
		year--;
	days -= clock_year_start(year);
	leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	/* No month is longer than 31 days: the guess is never too late. */
	month = days / 31;
	if (days >= starts[leap][month + 1])
		month++;
	p = clock_digits(p, year, 4);
	*p++ = '-';
	p = clock_digits(p, month + 1, 2);
	*p++ = '-';
	return clock_digits(p, days - starts[leap][month] + 1, 2);
}

void
clock_rfc3339(char out[CLOCK_RFC3339_SIZE], int64_t unix_ms)
{
	uint64_t since;
	unsigned rest;
	char *p = out;

	/* Years 1 to 9999; anything else cannot be written in this form. */
	if (unix_ms < YEAR_1_MS)
		unix_ms = YEAR_1_MS;
	if (unix_ms > YEAR_9999_MS)
		unix_ms = YEAR_9999_MS;
	since = (uint64_t)(unix_ms - YEAR_1_MS);
	rest = (unsigned)(since % DAY_MS);
	p = clock_date(p, (unsigned)(since / DAY_MS));
	*p++ = 'T';
	p = clock_digits(p, rest / 3600000, 2);
	*p++ = ':';
	p = clock_digits(p, rest / 60000 % 60, 2);
	*p++ = ':';
	p = clock_digits(p, rest / 1000 % 60, 2);
	*p++ = '.';
	p = clock_digits(p, rest % 1000, 3);
	*p++ = 'Z';
	*p = '\0';
}
