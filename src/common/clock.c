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
	if (fscanf(f, "%lld", &offset) != 1)
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

void
clock_rfc3339(char out[CLOCK_RFC3339_SIZE], int64_t unix_ms)
{
	int64_t days, rest, era, z;
	unsigned doe, yoe, doy, mp, day, month, ms;
	char *p = out;
	int64_t year;

	/* Years 0 to 9999; anything else cannot be written in this form. */
	if (unix_ms < INT64_C(-62167219200000))
		unix_ms = INT64_C(-62167219200000);
	if (unix_ms > INT64_C(253402300799999))
		unix_ms = INT64_C(253402300799999);
	days = unix_ms / 86400000;
	rest = unix_ms % 86400000;
	if (rest < 0) {
		rest += 86400000;
		days--;
	}
	/* Days to a civil date, counted in eras of 400 years from March. */
	z = days + 719468;
	era = (z >= 0 ? z : z - 146096) / 146097;
	doe = (unsigned)(z - era * 146097);
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	mp = (5 * doy + 2) / 153;
	day = doy - (153 * mp + 2) / 5 + 1;
	month = mp < 10 ? mp + 3 : mp - 9;
	year = (int64_t)yoe + era * 400 + (month <= 2);
	ms = (unsigned)rest;
	p = clock_digits(p, (unsigned)year, 4);
	*p++ = '-';
	p = clock_digits(p, month, 2);
	*p++ = '-';
	p = clock_digits(p, day, 2);
	*p++ = 'T';
	p = clock_digits(p, ms / 3600000, 2);
	*p++ = ':';
	p = clock_digits(p, ms / 60000 % 60, 2);
	*p++ = ':';
	p = clock_digits(p, ms / 1000 % 60, 2);
	*p++ = '.';
	p = clock_digits(p, ms % 1000, 3);
	*p++ = 'Z';
	*p = '\0';
}
