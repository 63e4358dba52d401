/* SPDX-License-Identifier: MIT */
/*
 * The one page of memory that all processes share: a memfd made by the
 * master.  Counters and histograms (a slot per child, written by that child
 * alone) and the tenants' rate cells.  No locks.
 */
#ifndef COMMON_PAGE_H
#define COMMON_PAGE_H

#include <stdatomic.h>
#include <stdint.h>

#define PAGE_MAGIC UINT32_C(0x63686170)
#define PAGE_LAYOUT 8       /* raised with every change of this file */
#define PAGE_SLOTS 80       /* processes alive at once */
#define PAGE_SLOT_RETIRED 0 /* what dead children had counted */
#define PAGE_SLOT_MASTER 1
#define PAGE_SLOT_WRITER 2
#define PAGE_SLOT_COURIER 3
#define PAGE_SLOT_WORKER0 8 /* + the worker's slot */
#define PAGE_WORKERS_MAX (PAGE_SLOTS - PAGE_SLOT_WORKER0)
#define PAGE_TENANTS_MAX (UINT64_C(1) << 24)
#define PAGE_BUCKETS 20
#define PAGE_LINE 64 /* no two slots share a line of the cache */

/* Up to PAGE_GAUGE0 they only rise; from there on they are gauges, zeroed
 * when their process is reaped.  What each is for: src/worker/metrics.c. */
enum page_counter {
	COUNTER_MESSAGES_SENT,   /* writer: messages stored */
	COUNTER_OPERATIONS,      /* writer: operations answered */
	COUNTER_BATCHES_REFUSED, /* writer: the database took them not */
	COUNTER_CHECKPOINTS,     /* writer */
	COUNTER_DELIVERIES,      /* worker: message frames for sockets */
	COUNTER_DELIVERIES_LOST, /* worker: of those, unsent at the end */
	COUNTER_REQUESTS_2XX,    /* worker: REST answers by class */
	COUNTER_REQUESTS_3XX,
	COUNTER_REQUESTS_4XX,
	COUNTER_REQUESTS_5XX,
	COUNTER_REQUESTS_ABANDONED,  /* worker: closed without an answer */
	COUNTER_CONNECTIONS_OPENED,  /* worker: WebSockets */
	COUNTER_CONNECTIONS_DENIED,  /* worker: over the user's limit */
	COUNTER_FRAMES_RECEIVED,     /* worker: messages of clients */
	COUNTER_FRAMES_REFUSED,      /* worker: answered with an error */
	COUNTER_RATE_LIMITED,        /* worker: requests and frames */
	COUNTER_FELL_BEHIND,         /* worker: feeds that were live */
	COUNTER_BUS_RECORDS,         /* master: records forwarded */
	COUNTER_BUS_LOST,            /* master, writer: queues dropped */
	COUNTER_RESTARTS_WORKER,     /* master: children respawned */
	COUNTER_RESTARTS_WRITER,     /* master */
	COUNTER_RESTARTS_COURIER,    /* master */
	COUNTER_NOTIFICATIONS,       /* writer: notifications stored */
	COUNTER_NOTIFICATION_FRAMES, /* worker: frames of them queued */
	COUNTER_WEBHOOKS_DELIVERED,  /* courier: answered with 2xx */
	COUNTER_WEBHOOKS_FAILED,     /* courier: tries that were not */
	COUNTER_WEBHOOKS_DEAD,       /* courier: given up */
	COUNTER_RETENTION_TRIMS,     /* courier: rooms cut */
	COUNTER_ACCEPT_PAUSES,       /* worker: seconds without accepting */
	PAGE_GAUGE0 = 48,
	GAUGE_CONNECTIONS = PAGE_GAUGE0, /* worker: open WebSockets */
	GAUGE_CONNECTIONS_BEHIND,        /* worker: with a feed behind */
	GAUGE_FEEDS_BEHIND,              /* worker */
	GAUGE_PENDING,                   /* worker: operations at the writer */
	GAUGE_FRAME_CACHE_BYTES,         /* worker */
	GAUGE_WORKER_READY,              /* worker: 1 */
	GAUGE_WRITER_READY,              /* writer: 1 */
	GAUGE_WRITER_QUEUE,              /* writer: operations that wait */
	GAUGE_WRITER_QUEUE_BYTES,        /* writer */
	GAUGE_WAL_BYTES,                 /* writer */
	GAUGE_BUS_QUEUE_BYTES,           /* each child's, by the master */
	GAUGE_USERS_ONLINE,              /* master */
	GAUGE_EXPANSIONS,                /* writer: notifications that
						 * have still to reach some */
	GAUGE_WEBHOOKS_PENDING,          /* courier: deliveries to come */
	GAUGE_DEAD_LETTERS,              /* courier */
	GAUGE_COURIER_READY,             /* courier: 1 */
	/* No metrics. */
	GAUGE_WORKER_SEAT, /* each worker's, by the master: which it has,
			    * plus one; 0 = its sockets are another's */
	GAUGE_BATCH,       /* writer: number of the last */
	GAUGE_COMMIT_MS,   /* writer: when it was; clock_mono_ms() */
	GAUGE_COMMIT_NS,   /* writer: how long it took */
	PAGE_COUNTERS = 80
};

/* Their buckets' bounds are powers of two of a unit: see page_bound(). */
enum page_histogram {
	HISTOGRAM_BATCH,  /* writer: operations in a batch */
	HISTOGRAM_COMMIT, /* writer: nanoseconds in COMMIT */
	PAGE_HISTOGRAMS
};

struct page_cells {
	_Atomic uint64_t sum;
	_Atomic uint64_t bucket[PAGE_BUCKETS];
};

struct page_slot {
	_Alignas(PAGE_LINE) _Atomic uint64_t c[PAGE_COUNTERS];
	struct page_cells h[PAGE_HISTOGRAMS];
};

struct page {
	uint32_t magic;
	uint32_t layout;
	uint64_t size;           /* of the whole mapping */
	int64_t started_unix_ms; /* of the master */
	uint64_t started_mono_ms;
	_Atomic uint32_t db_writable; /* set by the writer: 1 = its last
					 * commit or probe went through; by
					 * the master: 0 = it cannot start;
					 * 2: it died not knowing */
	_Atomic uint32_t retiring;    /* odd while a slot is being folded */
	struct page_slot slots[PAGE_SLOTS];
};

/* Everything summed over the slots. */
struct page_sums {
	uint64_t c[PAGE_COUNTERS];
	struct page_histogram_sums {
		uint64_t sum; /* of what was observed, in its unit */
		uint64_t count;
		uint64_t bucket[PAGE_BUCKETS]; /* not cumulative */
	} h[PAGE_HISTOGRAMS];
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
/* One value for a histogram of one's own slot, in its unit. */
void page_observe(struct page *p, int slot, enum page_histogram h, uint64_t v);
/* That of one slot; 0 for one that is none. */
uint64_t page_get(const struct page *p, int slot, enum page_counter c);
/* Sum over all slots. */
uint64_t page_sum(const struct page *p, enum page_counter c);
/*
 * All sums.  A counter never goes back from one call to the next, also when
 * a child is reaped meanwhile.
 */
void page_sums(const struct page *p, struct page_sums *sums);
/* How many finite bounds the histogram has, and the i-th of them, inclusive,
 * in the unit of what is observed; bucket n is what is above all. */
unsigned page_bounds(enum page_histogram h);
uint64_t page_bound(enum page_histogram h, unsigned i);
/* Master, after reaping: folds counters into `retired`, zeroes gauges. */
void page_retire(struct page *p, int slot);

#endif
