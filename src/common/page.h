/* SPDX-License-Identifier: MIT */
/*
 * The one page of memory that all processes share: a memfd made by the
 * master.  Counters (a slot per child, written by that child alone) and the
 * tenants' rate cells.  No locks.
 */
#ifndef COMMON_PAGE_H
#define COMMON_PAGE_H

#include <stdatomic.h>
#include <stdint.h>

#define PAGE_MAGIC UINT32_C(0x63686170)
#define PAGE_LAYOUT 1       /* raised with every change of this file */
#define PAGE_SLOTS 80       /* processes alive at once */
#define PAGE_SLOT_RETIRED 0 /* what dead children had counted */
#define PAGE_SLOT_MASTER 1
#define PAGE_SLOT_WRITER 2
#define PAGE_SLOT_WORKER0 8 /* + the worker's slot */
#define PAGE_TENANTS_MAX (UINT64_C(1) << 24)

/* Up to PAGE_GAUGE0 they only rise; from there on they are gauges, zeroed
 * when their process is reaped. */
enum page_counter {
	COUNTER_MESSAGES_SENT, /* writer: messages stored */
	COUNTER_COMMITS,       /* writer */
	COUNTER_COMMIT_NS,     /* writer: spent in COMMIT */
	COUNTER_OPERATIONS,    /* writer: operations answered */
	COUNTER_CHECKPOINTS,   /* writer */
	COUNTER_DELIVERIES,    /* worker: message frames to sockets */
	COUNTER_REQUESTS,      /* worker: REST requests answered */
	COUNTER_BUS_RECORDS,   /* master: records forwarded */
	COUNTER_BUS_LOST,      /* master: queues dropped */
	COUNTER_RESTARTS,      /* master: children respawned */
	PAGE_GAUGE0 = 32,
	GAUGE_CONNECTIONS = PAGE_GAUGE0, /* worker: open WebSockets */
	GAUGE_PENDING,                   /* worker: operations at the writer */
	GAUGE_WAL_BYTES,                 /* writer */
	PAGE_COUNTERS = 64
};

struct page_slot {
	_Atomic uint64_t c[PAGE_COUNTERS];
};

struct page {
	uint32_t magic;
	uint32_t layout;
	uint64_t size;           /* of the whole mapping */
	int64_t started_unix_ms; /* of the master */
	uint64_t started_mono_ms;
	_Atomic uint32_t db_writable; /* set by the writer: 1 = its last
					 * commit or probe went through; by
					 * the master: 0 = it cannot start */
	uint32_t pad;
	struct page_slot slots[PAGE_SLOTS];
};

/* Master: makes the memfd and maps it; fd is close-on-exec.  NULL on error
 * (errno). */
struct page *page_create(int *fd);
/* Child: maps the descriptor it was given, checks header and size. */
struct page *page_attach(int fd);
void page_detach(struct page *p);
/* The rate cell of a tenant; NULL when its internal id is out of range. */
_Atomic uint64_t *page_rate_cell(struct page *p, uint64_t tenant);
/* Adds to or sets a counter of one's own slot. */
void page_add(struct page *p, int slot, enum page_counter c, uint64_t n);
void page_set(struct page *p, int slot, enum page_counter c, uint64_t v);
/* Sum over all slots. */
uint64_t page_sum(const struct page *p, enum page_counter c);
/* Master, after reaping: folds counters into `retired`, zeroes gauges. */
void page_retire(struct page *p, int slot);

#endif
