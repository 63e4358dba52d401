/* SPDX-License-Identifier: MIT */
/* What a webhook looks like: its body and its header lines. */
#ifndef COURIER_WEBHOOK_H
#define COURIER_WEBHOOK_H

#include <stdint.h>

#include "../common/ids.h"
#include "../common/records.h"
#include "sign.h"

struct buf;
struct notify_text;
struct secrets;
struct view_message;
struct view_tenant;

#define WEBHOOK_BODY_MAX (1024U * 1024)
#define WEBHOOK_LINES 6

struct webhook {
	const char *id;     /* the delivery's token */
	const char *tenant; /* its token */
	struct str recipient;
	int64_t unix_s; /* of this try */
	/* Made by webhook_sign(). */
	const char *lines[WEBHOOK_LINES];
	unsigned nlines;
	char text[WEBHOOK_LINES][128];
};

/* Adds the body of message.new, and of notification.new. */
void webhook_message(struct buf *b, const struct webhook *w,
    const struct view_message *m);
void webhook_notification(struct buf *b, const struct webhook *w,
    const struct notify_text *t);
/* Signs the body with the tenant's secret and makes the header lines.  NULL,
 * or a sentence that says why it could not. */
const char *webhook_sign(struct webhook *w, struct secrets *secrets,
    const struct view_tenant *tenant, const struct buf *body);

#endif
