/* SPDX-License-Identifier: MIT */
/*
 * The shared page: made by the master, mapped by every child.  Relaxed
 * atomics only; nothing here waits for anybody.
 */
#include "page.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"

#define PAGE_ALIGN 4096
/* Folding a slot takes a microsecond; only a master that was stopped within
 * it makes a reader give up waiting. */
#define READ_TRIES 1000

/* Bounds: unit << first, and on by powers of two. */
static const struct histogram_shape {
	uint32_t unit;
	unsigned first;
	unsigned bounds; /* < PAGE_BUCKETS */
} shapes[PAGE_HISTOGRAMS] = {
	[HISTOGRAM_BATCH] = { 1, 0, 9 },      /* 1 to 256 */
	[HISTOGRAM_COMMIT] = { 1000, 6, 18 }, /* 64 us to 8.4 s */
};

static size_t
page_cells(void)
{
	return (sizeof(struct page) + PAGE_ALIGN - 1) / PAGE_ALIGN * PAGE_ALIGN;
}

static size_t
page_size(void)
{
	return page_cells() + PAGE_TENANTS_MAX * sizeof(uint64_t);
}

static struct page *
page_map(int fd)
{
	struct page *p;

	p = mmap(NULL, page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return p == MAP_FAILED ? NULL : p;
}

struct page *
page_create(int *fd)
{
	struct page *p;
	int saved;

	*fd = memfd_create("chatapi-page", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (*fd == -1)
		return NULL;
	/* A child that shrank it would kill all others by SIGBUS. */
	if (ftruncate(*fd, (off_t)page_size()) == -1 ||
	    fcntl(*fd, F_ADD_SEALS,
		F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == -1 ||
	    (p = page_map(*fd)) == NULL) {
		saved = errno;
		close(*fd);
		errno = saved;
		return NULL;
	}
	p->magic = PAGE_MAGIC;
	p->layout = PAGE_LAYOUT;
	p->size = page_size();
	p->started_unix_ms = clock_unix_ms();
	p->started_mono_ms = clock_mono_ms();
	return p;
}

struct page *
page_attach(int fd)
{
	struct stat st;
	struct page *p;

	if (fstat(fd, &st) == -1)
		return NULL;
	if (st.st_size != (off_t)page_size()) {
		errno = EINVAL;
		return NULL;
	}
	p = page_map(fd);
	if (p != NULL &&
	    (p->magic != PAGE_MAGIC || p->layout != PAGE_LAYOUT ||
		p->size != page_size())) {
		page_detach(p);
		errno = EINVAL;
		return NULL;
	}
	return p;
}

void
page_detach(struct page *p)
{
	if (p != NULL)
		munmap(p, page_size());
}

_Atomic uint64_t *
page_rate_cell(struct page *p, uint64_t tenant)
{
	if (tenant >= PAGE_TENANTS_MAX)
		return NULL;
	return (_Atomic uint64_t *)(void *)((char *)p + page_cells()) + tenant;
}

static bool
page_slot_valid(int slot)
{
	return slot >= 0 && slot < PAGE_SLOTS;
}

void
page_add(struct page *p, int slot, enum page_counter c, uint64_t n)
{
	if (!page_slot_valid(slot))
		return;
	atomic_fetch_add_explicit(&p->slots[slot].c[c], n,
	    memory_order_relaxed);
}

void
page_set(struct page *p, int slot, enum page_counter c, uint64_t v)
{
	if (!page_slot_valid(slot))
		return;
	atomic_store_explicit(&p->slots[slot].c[c], v, memory_order_relaxed);
}

unsigned
page_bounds(enum page_histogram h)
{
	return shapes[h].bounds;
}

uint64_t
page_bound(enum page_histogram h, unsigned i)
{
	return (uint64_t)shapes[h].unit << (shapes[h].first + i);
}

/* The lowest bucket whose bound is not below v. */
static unsigned
page_bucket(const struct histogram_shape *s, uint64_t v)
{
	uint64_t units = v / s->unit + (v % s->unit != 0);
	unsigned i;

	if (units <= UINT64_C(1) << s->first)
		return 0;
	i = 64 - (unsigned)__builtin_clzll(units - 1) - s->first;
	return i < s->bounds ? i : s->bounds;
}

void
page_observe(struct page *p, int slot, enum page_histogram h, uint64_t v)
{
	struct page_cells *cells;

	if (!page_slot_valid(slot))
		return;
	cells = &p->slots[slot].h[h];
	atomic_fetch_add_explicit(&cells->sum, v, memory_order_relaxed);
	atomic_fetch_add_explicit(&cells->bucket[page_bucket(&shapes[h], v)], 1,
	    memory_order_relaxed);
}

uint64_t
page_get(const struct page *p, int slot, enum page_counter c)
{
	if (!page_slot_valid(slot))
		return 0;
	return atomic_load_explicit(&p->slots[slot].c[c], memory_order_relaxed);
}

/* ---- sums ---- */

/*
 * While a dead child's counts move to the retired ones they are in one place
 * or the other, or both.  `retiring` rises before and after: what was read
 * while it stood still, and even, is whole.
 */
struct page_read {
	uint32_t began;
	unsigned tries;
};

static void
page_read_begin(const struct page *p, struct page_read *r)
{
	r->began = atomic_load_explicit(&p->retiring, memory_order_acquire);
}

static bool
page_read_again(const struct page *p, struct page_read *r)
{
	uint32_t now;

	atomic_thread_fence(memory_order_acquire);
	now = atomic_load_explicit(&p->retiring, memory_order_relaxed);
	if ((now == r->began && now % 2 == 0) || ++r->tries >= READ_TRIES)
		return false;
	(void)sched_yield();
	return true;
}

static uint64_t
page_sum_once(const struct page *p, enum page_counter c)
{
	uint64_t sum = 0;

	for (int i = 0; i < PAGE_SLOTS; i++)
		sum += page_get(p, i, c);
	return sum;
}

uint64_t
page_sum(const struct page *p, enum page_counter c)
{
	struct page_read r = { 0 };
	uint64_t sum;

	do {
		page_read_begin(p, &r);
		sum = page_sum_once(p, c);
	} while (page_read_again(p, &r));
	return sum;
}

static void
page_sum_histograms(const struct page *p, struct page_sums *sums)
{
	for (int i = 0; i < PAGE_SLOTS * PAGE_HISTOGRAMS; i++) {
		const struct page_cells *from =
		    &p->slots[i / PAGE_HISTOGRAMS].h[i % PAGE_HISTOGRAMS];
		struct page_histogram_sums *to = &sums->h[i % PAGE_HISTOGRAMS];

		to->sum += atomic_load_explicit(&from->sum,
		    memory_order_relaxed);
		for (unsigned b = 0; b < PAGE_BUCKETS; b++) {
			uint64_t n = atomic_load_explicit(&from->bucket[b],
			    memory_order_relaxed);

			to->bucket[b] += n;
			to->count += n;
		}
	}
}

void
page_sums(const struct page *p, struct page_sums *sums)
{
	struct page_read r = { 0 };

	do {
		page_read_begin(p, &r);
		memset(sums, 0, sizeof(*sums));
		for (int c = 0; c < PAGE_COUNTERS; c++)
			sums->c[c] = page_sum_once(p, (enum page_counter)c);
		page_sum_histograms(p, sums);
	} while (page_read_again(p, &r));
}

/* ---- the dead ---- */

static void
page_move(_Atomic uint64_t *from, _Atomic uint64_t *to)
{
	uint64_t v = atomic_exchange_explicit(from, 0, memory_order_relaxed);

	atomic_fetch_add_explicit(to, v, memory_order_relaxed);
}

void
page_retire(struct page *p, int slot)
{
	struct page_slot *to = &p->slots[PAGE_SLOT_RETIRED], *from;

	if (!page_slot_valid(slot) || slot == PAGE_SLOT_RETIRED)
		return;
	from = &p->slots[slot];
	atomic_fetch_add_explicit(&p->retiring, 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	for (int c = 0; c < PAGE_COUNTERS; c++) {
		if (c < PAGE_GAUGE0)
			page_move(&from->c[c], &to->c[c]);
		else
			atomic_store_explicit(&from->c[c], 0,
			    memory_order_relaxed);
	}
	for (int h = 0; h < PAGE_HISTOGRAMS; h++) {
		page_move(&from->h[h].sum, &to->h[h].sum);
		for (unsigned b = 0; b < PAGE_BUCKETS; b++)
			page_move(&from->h[h].bucket[b], &to->h[h].bucket[b]);
	}
	atomic_fetch_add_explicit(&p->retiring, 1, memory_order_release);
}
