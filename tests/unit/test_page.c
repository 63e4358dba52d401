/* SPDX-License-Identifier: MIT */
/* The shared page: what one process counts another sees, what the dead had
 * counted is kept, and a foreign descriptor is refused. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/page.h"

#define WORKER(n) (PAGE_SLOT_WORKER0 + (n))

static void
test_fresh_page(void **state)
{
	struct stat st;
	struct page *p;
	int fd;

	(void)state;
	p = page_create(&fd);
	assert_non_null(p);
	assert_int_equal(p->magic, PAGE_MAGIC);
	assert_int_equal(p->layout, PAGE_LAYOUT);
	assert_int_equal(p->db_writable, 0);
	assert_true(clock_unix_ms() - p->started_unix_ms < 60000);
	assert_true(clock_mono_ms() - p->started_mono_ms < 60000);
	for (int c = 0; c < PAGE_COUNTERS; c++)
		assert_int_equal(page_sum(p, (enum page_counter)c), 0);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	/* Only touched pages cost memory. */
	assert_int_equal(fstat(fd, &st), 0);
	assert_true((uint64_t)st.st_size == p->size);
	assert_true(st.st_blocks * 512 < 256 * 1024);
	page_detach(p);
	close(fd);
}

/* Runs in another process: exit code 0 when all went well. */
static int
count_in_child(int fd)
{
	struct page *p = page_attach(fd);
	_Atomic uint64_t *cell;

	if (p == NULL)
		return 1;
	page_add(p, WORKER(0), COUNTER_DELIVERIES, 5);
	page_add(p, WORKER(0), COUNTER_DELIVERIES, 2);
	page_set(p, WORKER(0), GAUGE_CONNECTIONS, 9);
	page_set(p, WORKER(0), GAUGE_CONNECTIONS, 3);
	cell = page_rate_cell(p, 42);
	if (cell == NULL || *cell != 17)
		return 2;
	*cell = 18;
	page_detach(p);
	return 0;
}

static void
test_shared_by_processes(void **state)
{
	struct page *p;
	int fd, status;
	pid_t pid;

	(void)state;
	p = page_create(&fd);
	assert_non_null(p);
	page_add(p, WORKER(1), COUNTER_DELIVERIES, 100);
	page_set(p, WORKER(1), GAUGE_CONNECTIONS, 4);
	*page_rate_cell(p, 42) = 17;
	pid = fork();
	assert_true(pid != -1);
	if (pid == 0)
		_exit(count_in_child(fd));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(page_sum(p, COUNTER_DELIVERIES), 107);
	assert_int_equal(page_sum(p, GAUGE_CONNECTIONS), 7);
	assert_int_equal(page_sum(p, COUNTER_REQUESTS_2XX), 0);
	assert_int_equal(*page_rate_cell(p, 42), 18);
	page_detach(p);
	close(fd);
}

static void
test_the_dead_keep_their_counts(void **state)
{
	struct page *p;
	int fd;

	(void)state;
	p = page_create(&fd);
	assert_non_null(p);
	page_add(p, WORKER(0), COUNTER_DELIVERIES, 5);
	page_add(p, WORKER(1), COUNTER_DELIVERIES, 6);
	page_set(p, WORKER(0), GAUGE_CONNECTIONS, 2);
	page_set(p, WORKER(1), GAUGE_CONNECTIONS, 3);
	for (int round = 1; round <= 3; round++) {
		page_retire(p, WORKER(0));
		assert_int_equal(page_sum(p, COUNTER_DELIVERIES), 11);
		assert_int_equal(page_sum(p, GAUGE_CONNECTIONS), 3);
	}
	/* The next in the slot begins at nothing and adds to it. */
	page_add(p, WORKER(0), COUNTER_DELIVERIES, 1);
	page_retire(p, WORKER(0));
	page_retire(p, WORKER(1));
	assert_int_equal(page_sum(p, COUNTER_DELIVERIES), 12);
	assert_int_equal(page_sum(p, GAUGE_CONNECTIONS), 0);
	/* What is retired cannot be retired. */
	page_retire(p, PAGE_SLOT_RETIRED);
	assert_int_equal(page_sum(p, COUNTER_DELIVERIES), 12);
	page_detach(p);
	close(fd);
}

static void
test_slots_out_of_range(void **state)
{
	struct page *p;
	int fd;

	(void)state;
	p = page_create(&fd);
	assert_non_null(p);
	page_add(p, -1, COUNTER_REQUESTS_2XX, 1);
	page_add(p, PAGE_SLOTS, COUNTER_REQUESTS_2XX, 1);
	page_set(p, -1, GAUGE_PENDING, 1);
	page_set(p, PAGE_SLOTS, GAUGE_PENDING, 1);
	page_observe(p, -1, HISTOGRAM_BATCH, 1);
	page_observe(p, PAGE_SLOTS, HISTOGRAM_COMMIT, 1);
	assert_int_equal(page_get(p, -1, GAUGE_PENDING), 0);
	assert_int_equal(page_get(p, PAGE_SLOTS, GAUGE_PENDING), 0);
	page_retire(p, -1);
	page_retire(p, PAGE_SLOTS);
	for (int c = 0; c < PAGE_COUNTERS; c++)
		assert_int_equal(page_sum(p, (enum page_counter)c), 0);
	assert_int_equal(p->magic, PAGE_MAGIC);
	page_detach(p);
	close(fd);
}

static void
test_rate_cells(void **state)
{
	_Atomic uint64_t *first, *last;
	struct page *p;
	int fd;

	(void)state;
	p = page_create(&fd);
	assert_non_null(p);
	first = page_rate_cell(p, 1);
	last = page_rate_cell(p, PAGE_TENANTS_MAX - 1);
	assert_non_null(first);
	assert_non_null(last);
	assert_true((char *)first >= (char *)p + sizeof(*p));
	assert_true((char *)(last + 1) <= (char *)p + p->size);
	assert_ptr_equal(page_rate_cell(p, 2), first + 1);
	*last = 1;
	assert_int_equal(*last, 1);
	assert_null(page_rate_cell(p, PAGE_TENANTS_MAX));
	assert_null(page_rate_cell(p, UINT64_MAX));
	page_detach(p);
	close(fd);
}

static void
test_size_is_sealed(void **state)
{
	struct page *p;
	int fd;

	(void)state;
	p = page_create(&fd);
	assert_non_null(p);
	assert_int_equal(ftruncate(fd, 4096), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(fd, (off_t)p->size + 4096), -1);
	page_detach(p);
	close(fd);
}

static void
test_refuses_what_is_no_page(void **state)
{
	struct page *p, *again;
	uint64_t size;
	int fd, other;

	(void)state;
	p = page_create(&fd);
	assert_non_null(p);
	size = p->size;
	p->magic++;
	assert_null(page_attach(fd));
	assert_int_equal(errno, EINVAL);
	p->magic--;
	p->layout++;
	assert_null(page_attach(fd));
	p->layout--;
	p->size++;
	assert_null(page_attach(fd));
	p->size--;
	again = page_attach(fd);
	assert_non_null(again);
	page_detach(again);
	page_detach(p);
	close(fd);
	assert_null(page_attach(fd));
	assert_int_equal(errno, EBADF);
	/* Too short to look into, and of the right size but empty. */
	other = memfd_create("other", MFD_CLOEXEC);
	assert_true(other != -1);
	assert_null(page_attach(other));
	assert_int_equal(ftruncate(other, 100), 0);
	assert_null(page_attach(other));
	assert_int_equal(ftruncate(other, (off_t)size), 0);
	assert_null(page_attach(other));
	assert_int_equal(errno, EINVAL);
	close(other);
	page_detach(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fresh_page),
		cmocka_unit_test(test_shared_by_processes),
		cmocka_unit_test(test_the_dead_keep_their_counts),
		cmocka_unit_test(test_slots_out_of_range),
		cmocka_unit_test(test_rate_cells),
		cmocka_unit_test(test_size_is_sealed),
		cmocka_unit_test(test_refuses_what_is_no_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
