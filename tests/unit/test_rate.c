/* SPDX-License-Identifier: MIT */
/* The rate cell: its arithmetic, its limits, and that processes sharing it
 * together never get one request more or less than a single one would. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/rate.h"

#define S UINT64_C(1000000000)
#define RUNNERS 4

static void
test_burst_and_refill(void **state)
{
	_Atomic uint64_t cell = 0;
	struct rate_result r;
	uint64_t now = 5 * S;
	uint32_t i;

	(void)state;
	for (i = 0; i < 100; i++) {
		r = rate_take(&cell, 100, now);
		assert_true(r.allowed);
		assert_int_equal(r.limit, 100);
		assert_int_equal(r.remaining, 99 - i);
		assert_int_equal(r.full_in_ns, (i + 1) * (S / 100));
		assert_int_equal(r.retry_in_ns, 0);
	}
	r = rate_take(&cell, 100, now);
	assert_false(r.allowed);
	assert_int_equal(r.remaining, 0);
	assert_int_equal(r.retry_in_ns, S / 100);
	assert_int_equal(r.full_in_ns, S);
	/* Refusals cost nothing: the promised moment holds, not one before. */
	now += r.retry_in_ns - 1;
	assert_false(rate_take(&cell, 100, now).allowed);
	assert_true(rate_take(&cell, 100, now + 1).allowed);
	assert_false(rate_take(&cell, 100, now + 1).allowed);
	/* After full_in_ns of rest the burst is whole. */
	now += 1 + S;
	for (i = 0; i < 100; i++)
		assert_true(rate_take(&cell, 100, now).allowed);
	assert_false(rate_take(&cell, 100, now).allowed);
}

static void
test_steady_rate(void **state)
{
	static const uint32_t limits[] = { 1, 3, 7, 100, 999, 20000 };
	_Atomic uint64_t cell;
	uint64_t now, step, allowed;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		atomic_store(&cell, 0);
		allowed = 0;
		/* Ten seconds of asking four times too often. */
		step = S / limits[i] / 4;
		for (now = S; now < 11 * S; now += step)
			allowed += rate_take(&cell, limits[i], now).allowed;
		/* The first burst, and what ten seconds brought after it. */
		assert_in_range(allowed, limits[i] * 11 - 1,
		    limits[i] * 11 + 1);
	}
}

static void
test_no_limit(void **state)
{
	_Atomic uint64_t cell = 42;
	struct rate_result r = rate_take(&cell, 0, S);

	(void)state;
	assert_true(r.allowed);
	assert_int_equal(r.limit, 0);
	assert_int_equal(r.retry_in_ns, 0);
	assert_int_equal(atomic_load(&cell), 42);
}

static void
test_strange_values(void **state)
{
	_Atomic uint64_t cell = UINT64_MAX - 5;
	struct rate_result r;

	(void)state;
	/* A cell that no taking can have written doesn't shut anyone out. */
	r = rate_take(&cell, 10, S);
	assert_true(r.allowed);
	assert_int_equal(r.remaining, 9);
	/* A limit above one a nanosecond still works. */
	atomic_store(&cell, 0);
	r = rate_take(&cell, UINT32_MAX, S);
	assert_true(r.allowed);
	assert_int_equal(r.remaining, UINT32_MAX - 1);
	/* A lowered limit holds within its second. */
	atomic_store(&cell, 0);
	while (rate_take(&cell, 1000, S).allowed)
		continue;
	assert_false(rate_take(&cell, 2, S).allowed);
	assert_true(rate_take(&cell, 2, 2 * S).allowed);
	/* A clock read just before another process's goes not wrong. */
	assert_false(rate_take(&cell, 2, 2 * S - 100).allowed);
}

struct shared {
	_Atomic uint64_t cell;
	_Atomic uint64_t clock;
	_Atomic uint64_t allowed;
	int gate; /* readable, by its end, when all may go */
};

/* Takes at a time that all share and move on together. */
static void *
hammer(void *arg)
{
	struct shared *s = arg;
	uint64_t mine = 0;
	char none;
	int i;

	if (read(s->gate, &none, 1) != 0)
		return NULL;
	for (i = 0; i < 200000; i++) {
		if (i % 1000 == 0)
			atomic_fetch_add(&s->clock, S / 1000);
		mine +=
		    rate_take(&s->cell, 5000, atomic_load(&s->clock)).allowed;
	}
	atomic_fetch_add(&s->allowed, mine);
	return NULL;
}

/* The burst is used up first, so that all that comes later is counted.
 * Returns what to close for the runners to begin. */
static int
start(struct shared *s)
{
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	s->gate = fds[0];
	atomic_store(&s->clock, S);
	while (rate_take(&s->cell, 5000, S).allowed)
		s->allowed++;
	assert_int_equal(s->allowed, 5000);
	return fds[1];
}

/* What one runner alone would have got in the same time. */
static void
check_total(struct shared *s)
{
	uint64_t gone = atomic_load(&s->clock) - S;

	/* The last refill may have come after the last request. */
	while (rate_take(&s->cell, 5000, s->clock).allowed)
		s->allowed++;
	assert_int_equal(gone, RUNNERS * 200 * (S / 1000));
	assert_int_equal(atomic_load(&s->allowed), 5000 + gone / (S / 5000));
}

static void
test_threads(void **state)
{
	struct shared s = { 0 };
	pthread_t threads[RUNNERS];
	int i, gate;

	(void)state;
	gate = start(&s);
	for (i = 0; i < RUNNERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hammer, &s),
		    0);
	close(gate);
	for (i = 0; i < RUNNERS; i++)
		pthread_join(threads[i], NULL);
	close(s.gate);
	check_total(&s);
}

static void
test_processes(void **state)
{
	struct shared *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pids[RUNNERS];
	int i, status, gate;

	(void)state;
	assert_ptr_not_equal(s, MAP_FAILED);
	gate = start(s);
	for (i = 0; i < RUNNERS; i++) {
		pids[i] = fork();
		assert_int_not_equal(pids[i], -1);
		if (pids[i] == 0) {
			close(gate);
			hammer(s);
			_exit(0);
		}
	}
	close(gate);
	for (i = 0; i < RUNNERS; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	close(s->gate);
	check_total(s);
	munmap(s, sizeof(*s));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_burst_and_refill),
		cmocka_unit_test(test_steady_rate),
		cmocka_unit_test(test_no_limit),
		cmocka_unit_test(test_strange_values),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_processes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
