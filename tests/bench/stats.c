/* SPDX-License-Identifier: MIT */
/*
 * Clock, histogram and result line of the load generator.  Part of
 * chatapi-bench only; never linked into the server.
 */
#include "stats.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static bool result_first;

uint64_t
stats_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

double
stats_own_cpu(void)
{
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	return (double)ru.ru_utime.tv_sec + (double)ru.ru_stime.tv_sec +
	    ((double)ru.ru_utime.tv_usec + (double)ru.ru_stime.tv_usec) / 1e6;
}

double
stats_syscall_us(void)
{
	const int rounds = 50000;
	double start = stats_own_cpu();

	for (int i = 0; i < rounds; i++)
		(void)syscall(SYS_getppid);
	return (stats_own_cpu() - start) * 1e6 / rounds;
}

uint64_t
stats_random(void)
{
	static uint64_t x;

	if (x == 0)
		x = stats_now() | 1;
	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	return x * UINT64_C(2685821657736338717);
}

void
hist_clear(struct hist *h)
{
	memset(h, 0, sizeof(*h));
}

void
hist_add(struct hist *h, uint64_t ns)
{
	unsigned shift, i;

	if (ns > h->max)
		h->max = ns;
	h->count++;
	if (ns < 128) {
		h->bucket[ns]++;
		return;
	}
	shift = 63 - (unsigned)__builtin_clzll(ns) - 7;
	i = shift * 128 + (unsigned)(ns >> shift);
	h->bucket[i]++;
}

static uint64_t
hist_value(unsigned i)
{
	unsigned shift;

	if (i < 256)
		return i;
	shift = i / 128 - 1;
	return ((uint64_t)(i % 128 + 128) << shift) +
	    (UINT64_C(1) << shift) / 2;
}

uint64_t
hist_quantile(const struct hist *h, double q)
{
	uint64_t want, seen = 0;

	if (h->count == 0)
		return 0;
	want = (uint64_t)ceil(q * (double)h->count);
	for (unsigned i = 0; i < HIST_BUCKETS; i++) {
		seen += h->bucket[i];
		if (seen >= want && seen > 0)
			return hist_value(i) < h->max ? hist_value(i) : h->max;
	}
	return h->max;
}

static void
result_name(const char *name)
{
	printf("%s\"%s\":", result_first ? "" : ",", name);
	result_first = false;
}

void
result_begin(const char *mode)
{
	putchar('{');
	result_first = true;
	result_str("mode", mode);
}

void
result_num(const char *name, double v)
{
	result_name(name);
	if (!isfinite(v))
		printf("null");
	else if (v == floor(v) && fabs(v) < 1e15)
		printf("%.0f", v);
	else
		printf("%.3f", v);
}

void
result_str(const char *name, const char *v)
{
	result_name(name);
	putchar('"');
	for (; *v != '\0'; v++) {
		if (*v == '"' || *v == '\\')
			putchar('\\');
		if ((unsigned char)*v >= ' ')
			putchar(*v);
	}
	putchar('"');
}

void
result_hist(const char *name, const struct hist *h)
{
	char full[64];

	snprintf(full, sizeof(full), "%s_p50_us", name);
	result_num(full, (double)hist_quantile(h, 0.5) / 1e3);
	snprintf(full, sizeof(full), "%s_p99_us", name);
	result_num(full, (double)hist_quantile(h, 0.99) / 1e3);
	snprintf(full, sizeof(full), "%s_max_us", name);
	result_num(full, (double)h->max / 1e3);
}

void
result_list_begin(const char *name)
{
	result_name(name);
	putchar('[');
	result_first = true;
}

void
result_item_begin(void)
{
	printf("%s{", result_first ? "" : ",");
	result_first = true;
}

void
result_item_end(void)
{
	putchar('}');
	result_first = false;
}

void
result_list_end(void)
{
	putchar(']');
	result_first = false;
}

void
result_end(void)
{
	puts("}");
	fflush(stdout);
}
