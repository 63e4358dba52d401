/* SPDX-License-Identifier: MIT */
/*
 * Records of the courier and of what it delivers, a part of records.h, whose
 * rules hold.
 */
#ifndef COMMON_RECORDS_COURIER_H
#define COMMON_RECORDS_COURIER_H

#include "records.h"

/* ---- between courier and hub ---- */

/*
 * The courier asks the hub which of these users of one tenant are absent.
 * The answer has a number for each, in the order asked: ABSENCE_ONLINE, or
 * the milliseconds until his grace is over, 0 = he is absent.
 */
#define ABSENCE_USERS_MAX 1000
#define ABSENCE_ONLINE UINT32_MAX
struct rec_absence {
	uint64_t serial; /* comes back */
	uint64_t tenant;
	uint32_t nusers;
	const uint8_t *users;
	const struct str *list; /* put only */
};
int rec_absence_put(struct buf *b, const struct rec_absence *r);
int rec_absence_get(const struct wire_record *w, struct rec_absence *r);
bool rec_absence_next(const struct rec_absence *r, size_t *at,
    struct str *user);
struct rec_absence_ok {
	uint64_t serial;
	uint32_t n;
	const uint8_t *states; /* get: little-endian u32s */
	const uint32_t *list;  /* put only */
};
int rec_absence_ok_put(struct buf *b, const struct rec_absence_ok *r);
int rec_absence_ok_get(const struct wire_record *w, struct rec_absence_ok *r);
uint32_t rec_absence_state(const struct rec_absence_ok *r, uint32_t i);

/* There is something to do for the tenant; goes to the courier only. */
int rec_event_webhook_put(struct buf *b, const struct rec_event_tenant *r);
int rec_event_webhook_get(const struct wire_record *w,
    struct rec_event_tenant *r);

/* What is delivered; rests in the tables outbox and delivery. */
enum webhook_kind { WEBHOOK_MESSAGE = 1, WEBHOOK_NOTIFICATION };

/* ---- operations ---- */

/*
 * The courier has gone through some recipients of a row of the outbox: the
 * users given get a delivery, now or, when they are in the presence grace,
 * to be decided in wait_ms.  Nothing happens unless the row still stands
 * behind the user `after`: then, and with a DELIVERY_RESULT of what is not as
 * it was, the reply is REPEATED.
 */
struct rec_op_outbox_step {
	struct op_head h;
	uint64_t outbox;
	struct str after; /* empty = at the start */
	struct str next;  /* empty = the row is done */
	uint32_t nusers;
	const uint8_t *users;
	const uint8_t *waits;    /* get: little-endian u32s */
	const struct str *list;  /* put only */
	const uint32_t *wait_ms; /* put only */
};
int rec_op_outbox_step_put(struct buf *b, const struct rec_op_outbox_step *r);
int rec_op_outbox_step_get(const struct wire_record *w,
    struct rec_op_outbox_step *r);
/* Walks both lists: *at starts at 0; false at the end. */
bool rec_op_outbox_step_next(const struct rec_op_outbox_step *r, size_t *at,
    struct str *user, uint32_t *wait_ms);

/* What became of a delivery that had been tried `attempts` times before. */
enum delivery_result {
	DELIVERY_DONE,   /* or not wanted any more: it goes */
	DELIVERY_FAILED, /* to be tried again at next_ms */
	DELIVERY_DEAD,   /* failed for the last time */
	DELIVERY_WAIT,   /* not tried: its recipient is still in grace */
	DELIVERY_RESULTS
};
#define DELIVERY_ERROR_MAX 200 /* bytes */
struct rec_op_delivery_result {
	struct op_head h;
	uint64_t delivery; /* internal id */
	uint32_t attempts;
	uint8_t result;    /* enum delivery_result */
	uint64_t next_ms;  /* Unix */
	uint64_t tried_ms; /* Unix */
	struct str error;
};
int rec_op_delivery_result_put(struct buf *b,
    const struct rec_op_delivery_result *r);
int rec_op_delivery_result_get(const struct wire_record *w,
    struct rec_op_delivery_result *r);

/* The tenant has no webhook_url: some of what waits for it goes.  The reply's
 * seq = how many rows; 0 = none is left. */
struct rec_op_webhook_drop {
	struct op_head h;
};
int rec_op_webhook_drop_put(struct buf *b, const struct rec_op_webhook_drop *r);
int rec_op_webhook_drop_get(const struct wire_record *w,
    struct rec_op_webhook_drop *r);

/* RETRY and DROP of the tenant's dead letter with that token. */
struct rec_op_dead_letter {
	struct op_head h;
	struct str id;
};
int rec_op_dead_letter_put(struct buf *b, enum record_type type,
    const struct rec_op_dead_letter *r);
int rec_op_dead_letter_get(const struct wire_record *w,
    struct rec_op_dead_letter *r);

#endif
