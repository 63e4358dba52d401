/* SPDX-License-Identifier: MIT */
/*
 * Which operations have a receipt, in which row, and which rows nobody needs
 * any more.  Runs in the writer; no I/O.  Per worker it keeps one bit per
 * recent operation: a set bit is a hint to look into the rows, a clear one
 * is certain, so the common case costs nothing.
 */
#include "receipts.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "../common/buf.h"
#include "../common/mem.h"
#include "../common/records.h"

#define RECEIPTS_VERSION 1
/* A worker's numbers never run further ahead of its oldest open one. */
#define WINDOW UINT64_C(65536)
#define BLOB_MAX (16 * 1024 * 1024)

struct row {
	uint64_t n;
	unsigned pending; /* workers that may still ask */
};

struct ref {
	STAILQ_ENTRY(ref) next;
	struct row *row;
	uint64_t min, max; /* operations of the worker in that row */
};

struct peer_state {
	LIST_ENTRY(peer_state) next;
	uint64_t incarnation;
	uint64_t low;
	bool seen;               /* heard of since the start */
	bool current;            /* has operations in the batch under way */
	unsigned index;          /* of it in the batch's blob */
	uint64_t min, max;       /* of it in the batch */
	STAILQ_HEAD(, ref) refs; /* in order of n */
	uint64_t bits[WINDOW / 64];
};

struct receipts {
	LIST_HEAD(, peer_state) peers;
	struct buf blob;
	unsigned named;    /* workers in the blob */
	uint64_t *settled; /* rows that may go */
	size_t nsettled;
	size_t settled_cap;
};

struct receipts *
receipts_new(void)
{
	struct receipts *r = mem_alloc(sizeof(*r));

	LIST_INIT(&r->peers);
	buf_init(&r->blob, BLOB_MAX);
	return r;
}

static void
settle(struct receipts *r, struct row *row)
{
	if (r->nsettled == r->settled_cap) {
		r->settled_cap = r->settled_cap == 0 ? 128 : r->settled_cap * 2;
		r->settled = mem_realloc(r->settled,
		    r->settled_cap * sizeof(uint64_t));
	}
	r->settled[r->nsettled++] = row->n;
	free(row);
}

/* Lets go of the rows whose operations are all answered. */
static void
peer_settle(struct receipts *r, struct peer_state *p)
{
	struct ref *ref;

	while ((ref = STAILQ_FIRST(&p->refs)) != NULL && ref->max < p->low) {
		STAILQ_REMOVE_HEAD(&p->refs, next);
		if (--ref->row->pending == 0)
			settle(r, ref->row);
		free(ref);
	}
	if (p->low == UINT64_MAX && !p->current) {
		LIST_REMOVE(p, next);
		free(p);
	}
}

void
receipts_free(struct receipts *r)
{
	struct peer_state *p;

	if (r == NULL)
		return;
	while ((p = LIST_FIRST(&r->peers)) != NULL) {
		p->current = false;
		p->low = UINT64_MAX;
		peer_settle(r, p);
	}
	free(r->settled);
	buf_free(&r->blob);
	free(r);
}

static struct peer_state *
peer_find(const struct receipts *r, uint64_t incarnation)
{
	struct peer_state *p;

	LIST_FOREACH(p, &r->peers, next)
		if (p->incarnation == incarnation)
			return p;
	return NULL;
}

static struct peer_state *
peer_get(struct receipts *r, uint64_t incarnation)
{
	struct peer_state *p = peer_find(r, incarnation);

	if (p == NULL) {
		p = mem_alloc(sizeof(*p));
		p->incarnation = incarnation;
		STAILQ_INIT(&p->refs);
		LIST_INSERT_HEAD(&r->peers, p, next);
	}
	return p;
}

static void
put_varint(struct buf *b, uint64_t v)
{
	uint8_t tmp[10];
	size_t n = 0;

	do {
		tmp[n] = (uint8_t)(v & 0x7f);
		v >>= 7;
		if (v != 0)
			tmp[n] |= 0x80;
		n++;
	} while (v != 0);
	(void)buf_add(b, tmp, n);
}

static uint64_t
get_varint(struct wire_reader *w)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t c = wire_get_u8(w);

		v |= (uint64_t)(c & 0x7f) << shift;
		if ((c & 0x80) == 0)
			return v;
	}
	w->bad = true;
	return 0;
}

/* Walks a blob; names holds the incarnations in order of their index. */
#define NAMES_MAX 1024
struct walk {
	struct wire_reader w;
	uint64_t names[NAMES_MAX];
	unsigned named;
};

static void
walk_init(struct walk *k, const void *blob, size_t len)
{
	k->w.p = blob;
	k->w.end = len == 0 ? k->w.p : k->w.p + len;
	k->w.bad = false;
	k->named = 0;
	if (len > 0 && wire_get_u8(&k->w) != RECEIPTS_VERSION)
		k->w.bad = true;
}

static bool
walk_next(struct walk *k, uint64_t *incarnation, struct rec_reply *reply)
{
	uint64_t index, len;

	if (k->w.bad || k->w.p == k->w.end)
		return false;
	index = get_varint(&k->w);
	if (index == k->named && index < NAMES_MAX)
		k->names[k->named++] = wire_get_u64(&k->w);
	if (index >= k->named) {
		k->w.bad = true;
		return false;
	}
	*incarnation = k->names[index];
	reply->op = get_varint(&k->w);
	reply->outcome = wire_get_u8(&k->w);
	reply->room = get_varint(&k->w);
	reply->seq = get_varint(&k->w);
	reply->ms = get_varint(&k->w);
	len = get_varint(&k->w);
	reply->text.p = (const char *)wire_get_bytes(&k->w, (size_t)len);
	reply->text.len = (size_t)len;
	return !k->w.bad;
}

bool
receipts_search(const void *blob, size_t len, uint64_t incarnation, uint64_t op,
    struct rec_reply *reply)
{
	struct walk k;
	uint64_t inc;

	walk_init(&k, blob, len);
	while (walk_next(&k, &inc, reply))
		if (inc == incarnation && reply->op == op)
			return true;
	return false;
}

static void
peer_mark(struct receipts *r, struct peer_state *p, uint64_t op)
{
	(void)r;
	p->bits[op % WINDOW / 64] |= UINT64_C(1) << (op % 64);
	if (!p->current) {
		p->current = true;
		p->min = p->max = op;
		return;
	}
	if (op < p->min)
		p->min = op;
	if (op > p->max)
		p->max = op;
}

void
receipts_add(struct receipts *r, uint64_t incarnation,
    const struct rec_reply *reply)
{
	struct peer_state *p = peer_get(r, incarnation);
	struct buf *b = &r->blob;

	if (b->len == 0) {
		uint8_t version = RECEIPTS_VERSION;

		(void)buf_add(b, &version, 1);
	}
	p->seen = true;
	if (!p->current) {
		p->index = r->named++;
		put_varint(b, p->index);
		wire_put_u64(b, incarnation);
	} else
		put_varint(b, p->index);
	peer_mark(r, p, reply->op);
	put_varint(b, reply->op);
	(void)buf_add(b, &reply->outcome, 1);
	put_varint(b, reply->room);
	put_varint(b, reply->seq);
	put_varint(b, reply->ms);
	put_varint(b, reply->text.len);
	(void)buf_add(b, reply->text.p, reply->text.len);
}

const void *
receipts_blob(const struct receipts *r, size_t *len)
{
	*len = r->blob.len;
	return r->blob.len == 0 ? "" : buf_head(&r->blob);
}

/* The batch became row n: remembers who may still ask for it. */
void
receipts_committed(struct receipts *r, uint64_t n)
{
	struct row *row = mem_alloc(sizeof(*row));
	struct peer_state *p, *next;

	row->n = n;
	/* One for this function, so that it cannot settle under way. */
	row->pending = 1;
	for (p = LIST_FIRST(&r->peers); p != NULL; p = next) {
		struct ref *ref;

		next = LIST_NEXT(p, next);
		if (!p->current)
			continue;
		ref = mem_alloc(sizeof(*ref));
		ref->row = row;
		ref->min = p->min;
		ref->max = p->max;
		row->pending++;
		STAILQ_INSERT_TAIL(&p->refs, ref, next);
		p->current = false;
		peer_settle(r, p);
	}
	if (--row->pending == 0)
		settle(r, row);
	buf_clear(&r->blob);
	r->named = 0;
}

void
receipts_abort(struct receipts *r)
{
	struct peer_state *p, *next;

	for (p = LIST_FIRST(&r->peers); p != NULL; p = next) {
		next = LIST_NEXT(p, next);
		p->current = false;
		peer_settle(r, p);
	}
	buf_clear(&r->blob);
	r->named = 0;
}

int
receipts_load(struct receipts *r, uint64_t n, const void *blob, size_t len)
{
	struct peer_state *p;
	struct rec_reply reply;
	struct walk k;
	uint64_t inc;

	walk_init(&k, blob, len);
	while (walk_next(&k, &inc, &reply)) {
		p = peer_get(r, inc);
		peer_mark(r, p, reply.op);
		/* What is further back has been answered: see WINDOW. */
		if (reply.op >= WINDOW && p->low < reply.op - WINDOW + 1)
			p->low = reply.op - WINDOW + 1;
	}
	receipts_committed(r, n);
	return k.w.bad ? -1 : 0;
}

bool
receipts_maybe(const struct receipts *r, uint64_t incarnation, uint64_t op)
{
	const struct peer_state *p = peer_find(r, incarnation);

	return p != NULL && (p->bits[op % WINDOW / 64] >> (op % 64) & 1) != 0;
}

uint64_t
receipts_row(const struct receipts *r, uint64_t incarnation, uint64_t op,
    uint64_t after)
{
	const struct peer_state *p = peer_find(r, incarnation);
	const struct ref *ref;

	if (p == NULL)
		return 0;
	STAILQ_FOREACH(ref, &p->refs, next)
		if (ref->row->n > after && ref->min <= op && op <= ref->max)
			return ref->row->n;
	return 0;
}

void
receipts_confirm(struct receipts *r, uint64_t incarnation, uint64_t low)
{
	struct peer_state *p;

	if (incarnation == 0)
		return;
	p = low == UINT64_MAX ? peer_find(r, incarnation) :
				peer_get(r, incarnation);
	if (p == NULL)
		return;
	p->seen = true;
	if (low <= p->low)
		return;
	/* Bits of a longer jump stay: they are hints, and the bits of higher
	 * operations share their places. */
	if (low - p->low < WINDOW)
		for (uint64_t op = p->low; op < low; op++)
			p->bits[op % WINDOW / 64] &= ~(UINT64_C(1)
			    << (op % 64));
	p->low = low;
	peer_settle(r, p);
}

void
receipts_forget_absent(struct receipts *r)
{
	struct peer_state *p, *next;

	for (p = LIST_FIRST(&r->peers); p != NULL; p = next) {
		next = LIST_NEXT(p, next);
		if (p->seen)
			continue;
		p->low = UINT64_MAX;
		peer_settle(r, p);
	}
}

size_t
receipts_settled(const struct receipts *r)
{
	return r->nsettled;
}

bool
receipts_run(const struct receipts *r, size_t *at, uint64_t *first,
    uint64_t *last)
{
	if (*at >= r->nsettled)
		return false;
	*first = *last = r->settled[(*at)++];
	while (*at < r->nsettled && r->settled[*at] == *last + 1) {
		(*last)++;
		(*at)++;
	}
	return true;
}

void
receipts_deleted(struct receipts *r)
{
	r->nsettled = 0;
}
