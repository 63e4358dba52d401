/* SPDX-License-Identifier: MIT */
/*
 * One end of a Unix-domain stream of records on the process's event loop:
 * bus, worker-writer link, control socket.  Never blocks: what cannot be
 * written waits in a queue with a hard maximum.
 */
#ifndef COMMON_LINK_H
#define COMMON_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct buf;
struct link;
struct wire_record;

struct link_ops {
	/*
	 * One record came; borrowed until it returns.  Return -1 when it is
	 * bad: the link then closes as by an error.  May call link_free().
	 */
	int (*record)(struct link *l, const struct wire_record *rec, void *arg);
	/* All records of one wake-up have been handed over; may be NULL. */
	void (*idle)(struct link *l, void *arg);
	/* The peer closed (err 0) or the stream broke (errno, EPROTO for a
	 * bad record).  The owner must link_free(), now or later; nothing
	 * more is called before. */
	void (*closed)(struct link *l, int err, void *arg);
};

/*
 * Takes fd (made non-blocking, close-on-exec).  max_queue = most unsent
 * bytes; ops is borrowed for good.  base NULL is allowed for blocking use
 * with link_wait().
 */
struct link *link_new(struct event_base *base, int fd, size_t max_queue,
    const struct link_ops *ops, void *arg);
/* Closes and frees; NULL is ignored.  Safe inside its own callbacks. */
void link_free(struct link *l);

/*
 * The queue to add finished records to (wire_begin … wire_end); call
 * link_push() afterwards.  Adding beyond the maximum sets `failed` on it.
 */
struct buf *link_out(struct link *l);
/* Promises a write at the end of this turn of the loop: several records
 * then share one system call. */
void link_push(struct link *l);
/* Writes now what the socket takes; the rest follows by itself.  -1 when the
 * stream is broken (the closed callback follows from the loop). */
int link_flush(struct link *l);
/* Unsent bytes. */
size_t link_queued(const struct link *l);
/* Throws away all unsent bytes that do not belong to a record already
 * partly written, and clears `failed`. */
void link_drop_queue(struct link *l);
/* The same for those records only of which drop() says so. */
void link_drop_records(struct link *l,
    bool (*drop)(const struct wire_record *rec));

/*
 * Passes a descriptor with the record that has just been added (SCM_RIGHTS);
 * dups it, the caller keeps his.
 */
void link_send_fd(struct link *l, int fd);
/* Within `record`: the oldest descriptor received and not yet taken, now the
 * caller's; -1 when there is none. */
int link_take_fd(struct link *l);

/* Stops and resumes reading (back-pressure).  Records already read wait too,
 * from the one behind the record whose callback paused the link. */
void link_pause(struct link *l, bool paused);
/* Hands over at once all that has come and can be read without waiting: for
 * an owner who knows that the peer is gone.  `closed` is not called. */
void link_drain(struct link *l);

/*
 * Without a loop (operator's commands): writes everything, then reads until
 * `record` has been called once or timeout_ms passed.  -1 on timeout, end or
 * error (errno).
 */
int link_wait(struct link *l, int timeout_ms)
    __attribute__((warn_unused_result));

#endif
