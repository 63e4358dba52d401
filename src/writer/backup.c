/* SPDX-License-Identifier: MIT */
/*
 * Steps of a backup between batches.  Runs in the writer.  The command asks
 * again and again how far the copy is, and syncs it meanwhile, so that no
 * commit waits behind what the copy has left to be written; the copy never
 * runs further ahead of these questions than WINDOW_PAGES, and ends when
 * they do.
 */
#include "backup.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "../common/buf.h"
#include "../common/clock.h"
#include "../common/link.h"
#include "../common/log.h"
#include "../common/mem.h"
#include "../common/records_tenant.h"
#include "store.h"

/* A step ends after so many pages, or this long. */
#define STEP_PAGES 64
#define PART_PAGES 16
#define STEP_NS (2U * 1000 * 1000)
#define WINDOW_PAGES 512
/* Its share of a busy writer's time: one part in this and one. */
#define BUSY_SHARE 3
/* Without a question for so long, its owner is gone. */
static const struct timeval backup_silence = { 30, 0 };
/* An owner that holds no lock for so long was killed. */
#define ORPHAN_MS 2000

struct backup {
	struct store *store;
	struct link *bus;
	struct event *step;
	struct event *silence;
	uint64_t asked_ms;
	uint64_t until; /* pages that it may have done by the next question */
	uint64_t longest_ns;
	uint64_t batch; /* the last one when the step before ended */
	bool complete;  /* closed, and the command's */
	uint64_t pages;
	char suffix[STORE_BACKUP_SUFFIX_SIZE];
	char err[STORE_BACKUP_ERR_SIZE];
};

static void
backup_stop(struct backup *b)
{
	if (store_backup_active(b->store))
		(void)store_backup_end(b->store, false);
	(void)event_del(b->step);
	(void)event_del(b->silence);
}

static void
backup_schedule(struct backup *b, uint64_t pause_ns)
{
	struct timeval tv = { (time_t)(pause_ns / 1000000000),
		(suseconds_t)(pause_ns / 1000 % 1000000) };

	(void)event_add(b->step, &tv);
}

static void
backup_done(struct backup *b)
{
	uint64_t done;

	store_backup_progress(b->store, &done, &b->pages);
	(void)event_del(b->silence);
	b->complete = store_backup_end(b->store, true) == 0;
	if (b->complete)
		log_info("backup complete", "pages=%llu longest_step_us=%llu",
		    (unsigned long long)b->pages,
		    (unsigned long long)(b->longest_ns / 1000));
	else
		(void)strcpy(b->err, "the copy could not be closed");
}

/* As store_backup_step(). */
static int
backup_step(struct backup *b, uint64_t began)
{
	unsigned n = 0;
	int rc;

	do
		rc = store_backup_step(b->store, PART_PAGES, b->err,
		    sizeof(b->err));
	while (rc == 0 && (n += PART_PAGES) < STEP_PAGES &&
	    clock_mono_ns() < began + STEP_NS);
	return rc;
}

static void
backup_on_step(evutil_socket_t fd, short what, void *arg)
{
	struct backup *b = arg;
	uint64_t began = clock_mono_ns(), pause = 0, done, pages;
	int rc;

	(void)fd;
	(void)what;
	if (!store_backup_active(b->store))
		return;
	rc = backup_step(b, began);
	if (clock_mono_ns() - began > b->longest_ns)
		b->longest_ns = clock_mono_ns() - began;
	if (rc == 1) {
		backup_done(b);
		return;
	}
	if (rc == -1) {
		log_error("backup failed", "error=\"%s\"", b->err);
		backup_stop(b);
		return;
	}
	if (store_batch(b->store) != b->batch)
		pause = BUSY_SHARE * (clock_mono_ns() - began);
	b->batch = store_batch(b->store);
	store_backup_progress(b->store, &done, &pages);
	if (done < b->until)
		backup_schedule(b, pause);
}

static void
backup_on_silence(evutil_socket_t fd, short what, void *arg)
{
	struct backup *b = arg;

	(void)fd;
	(void)what;
	log_warn("backup given up, nobody asks for it", NULL);
	backup_stop(b);
}

struct backup *
backup_new(struct event_base *base, struct store *store, struct link *bus)
{
	struct backup *b = mem_alloc(sizeof(*b));

	b->store = store;
	b->bus = bus;
	b->step = event_new(base, -1, 0, backup_on_step, b);
	b->silence = event_new(base, -1, 0, backup_on_silence, b);
	if (b->step == NULL || b->silence == NULL)
		abort();
	return b;
}

void
backup_free(struct backup *b)
{
	if (b == NULL)
		return;
	backup_stop(b);
	event_free(b->step);
	event_free(b->silence);
	free(b);
}

/* ---- what the command asks ---- */

static void
backup_failed(struct backup *b, struct rec_reply *r)
{
	r->outcome = OUTCOME_STORAGE;
	r->text = (struct str){ b->err, strlen(b->err) };
}

static void
backup_begin(struct backup *b, struct rec_reply *r)
{
	if (store_backup_active(b->store)) {
		if (clock_mono_ms() < b->asked_ms + ORPHAN_MS ||
		    store_backup_owned(b->store)) {
			r->outcome = OUTCOME_BUSY;
			return;
		}
		backup_stop(b);
	}
	b->complete = false;
	b->err[0] = '\0';
	if (store_backup_begin(b->store, b->err, sizeof(b->err)) == -1) {
		backup_failed(b, r);
		return;
	}
	(void)strcpy(b->suffix, store_backup_suffix(b->store));
	log_info("backup begun", "suffix=%s", b->suffix);
	b->until = b->longest_ns = 0;
}

/* How far it is; lets it go on. */
static void
backup_look(struct backup *b, struct rec_reply *r)
{
	r->text = (struct str){ b->suffix, strlen(b->suffix) };
	if (b->complete) {
		r->ms = 1;
		r->seq = r->room = b->pages;
		return;
	}
	store_backup_progress(b->store, &r->seq, &r->room);
	b->asked_ms = clock_mono_ms();
	b->until = r->seq + WINDOW_PAGES;
	(void)event_add(b->silence, &backup_silence);
	if (!event_pending(b->step, EV_TIMEOUT, NULL))
		backup_schedule(b, 0);
}

static void
backup_answer(struct backup *b, const struct rec_op_admin *op,
    struct rec_reply *r)
{
	struct str name = { b->suffix, strlen(b->suffix) };

	if (op->a.len == 0)
		backup_begin(b, r);
	else if (op->a.len != name.len ||
	    memcmp(op->a.p, name.p, name.len) != 0)
		r->outcome = OUTCOME_NOT_FOUND;
	else if (op->b.len > 0) {
		backup_stop(b);
		return;
	}
	if (r->outcome != OUTCOME_OK)
		return;
	if (store_backup_active(b->store) || b->complete)
		backup_look(b, r);
	else if (b->err[0] != '\0')
		backup_failed(b, r);
	else
		r->outcome = OUTCOME_NOT_FOUND;
}

int
backup_control(struct backup *b, uint64_t client, const struct wire_record *rec)
{
	struct rec_op_admin op;
	struct rec_reply r = { .outcome = OUTCOME_OK };
	struct wire_record reply;
	struct buf out;

	if (rec_op_admin_get(rec, &op) == -1)
		return -1;
	r.op = op.h.op;
	backup_answer(b, &op, &r);
	buf_init(&out, WIRE_RECORD_MAX + WIRE_HEADER);
	(void)rec_reply_put(&out, &r);
	if (wire_next((uint8_t *)buf_head(&out), out.len, &reply) > 0)
		(void)rec_control_put(link_out(b->bus), REC_CONTROL_REPLY,
		    client, &reply);
	link_push(b->bus);
	buf_free(&out);
	return 0;
}
