/* SPDX-License-Identifier: MIT */
/* Makes the requests of webhooks.  Runs in the courier; a secret is in the
 * clear only while something is signed with it. */
#include "webhook.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "../common/buf.h"
#include "../common/json_text.h"
#include "../common/message.h"
#include "../common/notify_text.h"
#include "../common/secret.h"
#include "view.h"

void
webhook_message(struct buf *b, const struct webhook *w,
    const struct view_message *m)
{
	(void)buf_addf(b,
	    "{\"event\":\"message.new\",\"tenant_id\":\"tenant_%s\","
	    "\"room_id\":\"room_%s\",\"recipient_id\":",
	    w->tenant, m->room_token);
	json_text_string(b, w->recipient.p, w->recipient.len);
	if (m->metadata.len > 0) {
		(void)buf_adds(b, ",\"room_metadata\":");
		(void)buf_add(b, m->metadata.p, m->metadata.len);
	}
	(void)buf_adds(b, ",\"message\":");
	message_json(b, &m->message, MESSAGE_REST);
	(void)buf_adds(b, "}");
}

void
webhook_notification(struct buf *b, const struct webhook *w,
    const struct notify_text *t)
{
	(void)buf_addf(b,
	    "{\"event\":\"notification.new\",\"tenant_id\":\"tenant_%s\","
	    "\"recipient_id\":",
	    w->tenant);
	json_text_string(b, w->recipient.p, w->recipient.len);
	(void)buf_adds(b, ",\"notification\":");
	notify_text(b, t);
	(void)buf_adds(b, "}");
}

static void
webhook_line(struct webhook *w, const char *name, const char *value)
{
	char *line = w->text[w->nlines];

	(void)snprintf(line, sizeof(w->text[0]), "%s: %s", name, value);
	w->lines[w->nlines++] = line;
}

static void
webhook_lines(struct webhook *w, const uint8_t *secret, size_t len,
    const struct buf *body)
{
	char standard[SIGN_STANDARD_SIZE], whole[SIGN_BODY_SIZE];
	char id[ID_PUBLIC_SIZE], stamp[24];

	(void)snprintf(id, sizeof(id), "dlv_%s", w->id);
	(void)snprintf(stamp, sizeof(stamp), "%lld", (long long)w->unix_s);
	sign_standard(standard, (const char *)secret, len, id, w->unix_s,
	    buf_head(body), body->len);
	sign_body(whole, (const char *)secret, len, buf_head(body), body->len);
	w->nlines = 0;
	webhook_line(w, "Content-Type", "application/json");
	webhook_line(w, "webhook-id", id);
	webhook_line(w, "webhook-timestamp", stamp);
	webhook_line(w, "webhook-signature", standard);
	webhook_line(w, "X-ChatAPI-Signature", whole);
	/* Else libcurl would ask before it sends a long body. */
	w->lines[w->nlines++] = "Expect:";
}

const char *
webhook_sign(struct webhook *w, struct secrets *secrets,
    const struct view_tenant *tenant, const struct buf *body)
{
	static const char *const why[] = {
		[SECRET_NO_FILE] =
		    "the file that webhook_secret is sealed under is missing",
		[SECRET_BAD_FILE] = "the file that webhook_secret is sealed "
				    "under cannot be used",
		[SECRET_FOREIGN] = "webhook_secret is sealed under another "
				   "file than the one that is there",
	};
	uint8_t secret[SECRET_MAX];
	enum secret_result result;
	size_t len = 0;

	result = secret_open(secrets, tenant->token, SECRET_WEBHOOK,
	    tenant->sealed, tenant->sealed_len, secret, &len);
	if (result != SECRET_OK)
		return why[result];
	webhook_lines(w, secret, len, body);
	sodium_memzero(secret, sizeof(secret));
	return NULL;
}
