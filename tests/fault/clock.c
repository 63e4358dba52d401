/* SPDX-License-Identifier: MIT */
/*
 * preload_clock.so: moves the wall clock of the processes it is loaded into
 * by LD_PRELOAD.  FAULT_CLOCK names a file whose first eight bytes are the
 * offset in nanoseconds; a test changes it while the program runs.  The
 * monotonic clocks are left alone, as a change of the date leaves them.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define NS 1000000000

static _Atomic int64_t *offset;

static int64_t
moved_by(void)
{
	return offset == NULL ? 0 : atomic_load(offset);
}

static int64_t
now_ns(clockid_t id, int *rc)
{
	static int (*real)(clockid_t, struct timespec *);
	struct timespec ts = { 0 };

	if (real == NULL)
		real = (int (*)(clockid_t,
		    struct timespec *))(uintptr_t)dlsym(RTLD_NEXT,
		    "clock_gettime");
	*rc = real(id, &ts);
	return (int64_t)ts.tv_sec * NS + ts.tv_nsec;
}

int
clock_gettime(clockid_t id, struct timespec *ts)
{
	int64_t ns;
	int rc;

	ns = now_ns(id, &rc);
	if (rc != 0)
		return rc;
	if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE ||
	    id == CLOCK_TAI)
		ns += moved_by();
	ts->tv_sec = (time_t)(ns / NS);
	ts->tv_nsec = (long)(ns % NS);
	return 0;
}

int
gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	int64_t ns;
	int rc;

	(void)zone;
	ns = now_ns(CLOCK_REALTIME, &rc) + moved_by();
	tv->tv_sec = (time_t)(ns / NS);
	tv->tv_usec = (suseconds_t)(ns % NS / 1000);
	return rc;
}

time_t
time(time_t *out)
{
	int rc;
	time_t t = (time_t)((now_ns(CLOCK_REALTIME, &rc) + moved_by()) / NS);

	if (out != NULL)
		*out = t;
	return t;
}

__attribute__((constructor)) static void
clock_begin(void)
{
	const char *path = getenv("FAULT_CLOCK");
	void *p;
	int fd;

	if (path == NULL)
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		abort();
	p = mmap(NULL, sizeof(*offset), PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		abort();
	offset = p;
	(void)close(fd);
}
