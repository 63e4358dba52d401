/* SPDX-License-Identifier: MIT */
/* The shared page's histograms and sums: each value goes into the lowest
 * bucket that holds it, and what is read never goes back, also while a dead
 * child's counts are being folded. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/page.h"

#define WORKER(n) (PAGE_SLOT_WORKER0 + (n))
#define LIVES 20000

static int
set_up(void **state)
{
	struct page *p;
	int fd;

	p = page_create(&fd);
	if (p == NULL)
		return -1;
	(void)close(fd);
	*state = p;
	return 0;
}

static int
tear_down(void **state)
{
	page_detach(*state);
	return 0;
}

/* The only bucket that has anything, after one value into an empty slot. */
static unsigned
bucket_of(struct page *p, enum page_histogram h, uint64_t v)
{
	struct page_sums before, after;
	unsigned at = PAGE_BUCKETS;

	page_sums(p, &before);
	page_observe(p, PAGE_SLOT_WRITER, h, v);
	page_sums(p, &after);
	assert_int_equal(after.h[h].count, before.h[h].count + 1);
	assert_true(after.h[h].sum == before.h[h].sum + v);
	for (unsigned i = 0; i < PAGE_BUCKETS; i++) {
		if (after.h[h].bucket[i] == before.h[h].bucket[i])
			continue;
		assert_int_equal(at, PAGE_BUCKETS);
		assert_int_equal(after.h[h].bucket[i],
		    before.h[h].bucket[i] + 1);
		at = i;
	}
	assert_true(at < PAGE_BUCKETS);
	return at;
}

static void
test_bounds_are_inclusive(void **state)
{
	struct page *p = *state;

	for (int h = 0; h < PAGE_HISTOGRAMS; h++) {
		unsigned n = page_bounds((enum page_histogram)h);

		assert_true(n > 0 && n < PAGE_BUCKETS);
		assert_int_equal(bucket_of(p, (enum page_histogram)h, 0), 0);
		assert_int_equal(bucket_of(p, (enum page_histogram)h, 1), 0);
		for (unsigned i = 0; i < n; i++) {
			uint64_t bound = page_bound((enum page_histogram)h, i);

			assert_int_equal(bucket_of(p, (enum page_histogram)h,
					     bound),
			    i);
			assert_int_equal(bucket_of(p, (enum page_histogram)h,
					     bound + 1),
			    i + 1);
			if (i > 0)
				assert_true(bound >
				    page_bound((enum page_histogram)h, i - 1));
		}
		assert_int_equal(bucket_of(p, (enum page_histogram)h,
				     UINT64_MAX),
		    n);
	}
}

static void
test_bounds_fit_what_is_measured(void **state)
{
	(void)state;
	assert_int_equal(page_bound(HISTOGRAM_BATCH, 0), 1);
	assert_int_equal(page_bound(HISTOGRAM_BATCH,
			     page_bounds(HISTOGRAM_BATCH) - 1),
	    256);
	assert_int_equal(page_bound(HISTOGRAM_COMMIT, 0), 64000);
	assert_true(page_bound(HISTOGRAM_COMMIT,
			page_bounds(HISTOGRAM_COMMIT) - 1) >
	    UINT64_C(8000000000));
}

static void
test_the_dead_keep_their_histograms(void **state)
{
	struct page *p = *state;
	struct page_sums sums;

	page_observe(p, PAGE_SLOT_WRITER, HISTOGRAM_BATCH, 3);
	page_observe(p, PAGE_SLOT_WRITER, HISTOGRAM_BATCH, 1000);
	page_retire(p, PAGE_SLOT_WRITER);
	page_observe(p, PAGE_SLOT_WRITER, HISTOGRAM_BATCH, 4);
	for (int i = 0; i < 2; i++) {
		page_sums(p, &sums);
		assert_int_equal(sums.h[HISTOGRAM_BATCH].count, 3);
		assert_int_equal(sums.h[HISTOGRAM_BATCH].sum, 1007);
		assert_int_equal(sums.h[HISTOGRAM_BATCH].bucket[2], 2);
		page_retire(p, PAGE_SLOT_WRITER);
	}
}

static void
test_sums_agree(void **state)
{
	struct page *p = *state;
	struct page_sums sums;

	page_add(p, PAGE_SLOT_MASTER, COUNTER_BUS_RECORDS, 7);
	page_add(p, WORKER(0), COUNTER_DELIVERIES, 5);
	page_add(p, WORKER(63), COUNTER_DELIVERIES, 6);
	page_set(p, WORKER(1), GAUGE_CONNECTIONS, 2);
	page_set(p, WORKER(63), GAUGE_CONNECTIONS, 3);
	page_sums(p, &sums);
	for (int c = 0; c < PAGE_COUNTERS; c++)
		assert_true(sums.c[c] == page_sum(p, (enum page_counter)c));
	assert_int_equal(sums.c[COUNTER_BUS_RECORDS], 7);
	assert_int_equal(sums.c[COUNTER_DELIVERIES], 11);
	assert_int_equal(sums.c[GAUGE_CONNECTIONS], 5);
	assert_int_equal(page_get(p, WORKER(63), GAUGE_CONNECTIONS), 3);
	assert_int_equal(page_get(p, WORKER(62), GAUGE_CONNECTIONS), 0);
}

/* A gauge that goes up and down within a slot. */
static void
test_gauges_move(void **state)
{
	struct page *p = *state;

	page_add(p, WORKER(0), GAUGE_FEEDS_BEHIND, 1);
	page_add(p, WORKER(0), GAUGE_FEEDS_BEHIND, 1);
	page_add(p, WORKER(0), GAUGE_FEEDS_BEHIND, UINT64_MAX);
	assert_int_equal(page_sum(p, GAUGE_FEEDS_BEHIND), 1);
	page_retire(p, WORKER(0));
	assert_int_equal(page_sum(p, GAUGE_FEEDS_BEHIND), 0);
}

/* One life after the other: counts a little, dies, is folded. */
static void
live_and_die(struct page *p)
{
	for (int i = 0; i < LIVES; i++) {
		page_add(p, WORKER(0), COUNTER_DELIVERIES, 1000);
		page_observe(p, WORKER(0), HISTOGRAM_BATCH, 1000);
		page_retire(p, WORKER(0));
	}
	_exit(0);
}

static void
test_never_back_while_folding(void **state)
{
	struct page *p = *state;
	uint64_t last = 0, last_count = 0, now;
	struct page_sums sums;
	int status;
	pid_t pid;

	pid = fork();
	assert_true(pid != -1);
	if (pid == 0)
		live_and_die(p);
	do {
		now = page_sum(p, COUNTER_DELIVERIES);
		assert_true(now >= last);
		page_sums(p, &sums);
		assert_true(sums.c[COUNTER_DELIVERIES] >= now);
		assert_true(sums.h[HISTOGRAM_BATCH].count >= last_count);
		last = sums.c[COUNTER_DELIVERIES];
		last_count = sums.h[HISTOGRAM_BATCH].count;
	} while (waitpid(pid, &status, WNOHANG) == 0);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	page_sums(p, &sums);
	assert_int_equal(sums.c[COUNTER_DELIVERIES], LIVES * 1000);
	assert_int_equal(sums.h[HISTOGRAM_BATCH].count, LIVES);
}

/* The master was killed amid folding: readers end all the same. */
static void
test_a_fold_that_never_ends(void **state)
{
	struct page *p = *state;
	struct page_sums sums;

	page_add(p, WORKER(0), COUNTER_DELIVERIES, 9);
	p->retiring++;
	page_sums(p, &sums);
	assert_int_equal(sums.c[COUNTER_DELIVERIES], 9);
	assert_int_equal(page_sum(p, COUNTER_DELIVERIES), 9);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(test_bounds_are_inclusive),
		TEST(test_bounds_fit_what_is_measured),
		TEST(test_the_dead_keep_their_histograms),
		TEST(test_sums_agree),
		TEST(test_gauges_move),
		TEST(test_never_back_while_folding),
		TEST(test_a_fold_that_never_ends),
#undef TEST
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
