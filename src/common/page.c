/* SPDX-License-Identifier: MIT */
/*
 * The shared page: made by the master, mapped by every child.  Relaxed
 * atomics only; nothing here waits for anybody.
 */
#include "page.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"

#define PAGE_ALIGN 4096

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

uint64_t
page_sum(const struct page *p, enum page_counter c)
{
	uint64_t sum = 0;

	for (int i = 0; i < PAGE_SLOTS; i++)
		sum += atomic_load_explicit(&p->slots[i].c[c],
		    memory_order_relaxed);
	return sum;
}

void
page_retire(struct page *p, int slot)
{
	if (!page_slot_valid(slot) || slot == PAGE_SLOT_RETIRED)
		return;
	for (int c = 0; c < PAGE_COUNTERS; c++) {
		uint64_t v = atomic_exchange_explicit(&p->slots[slot].c[c], 0,
		    memory_order_relaxed);

		if (c < PAGE_GAUGE0)
			page_add(p, PAGE_SLOT_RETIRED, (enum page_counter)c, v);
	}
}
