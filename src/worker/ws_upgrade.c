/* SPDX-License-Identifier: MIT */
/*
 * The opening handshake of a WebSocket: who, from which origin, and whether
 * the request is one.  Runs in a worker; the 101 is written by ws_conn.c.
 */
#include "ws_upgrade.h"

#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "../common/buf.h"
#include "guard.h"
#include "http.h"
#include "worker.h"
#include "ws_conn.h"
#include "ws_frame.h"

#define KEY_LEN 24
/* What may wait behind the handshake: a resume and its header fit. */
#define EARLY_MAX ((size_t)1100 * 1024)

/* True when the comma-separated list names the origin (or everything). */
static bool
origin_listed(const char *list, const char *origin)
{
	size_t len = strlen(origin);

	while (*list != '\0') {
		size_t n;

		list += strspn(list, " \t,");
		n = strcspn(list, ",");
		while (n > 0 && (list[n - 1] == ' ' || list[n - 1] == '\t'))
			n--;
		if ((n == 1 && *list == '*') ||
		    (n == len && strncasecmp(list, origin, len) == 0))
			return true;
		list += strcspn(list, ",");
	}
	return false;
}

/* The origin of the host that was asked, by either scheme. */
static bool
origin_own(const char *origin, const char *host)
{
	const char *p = strstr(origin, "://");
	size_t len;

	if (p == NULL || host == NULL)
		return false;
	len = (size_t)(p - origin);
	if (!(len == 4 && strncasecmp(origin, "http", 4) == 0) &&
	    !(len == 5 && strncasecmp(origin, "https", 5) == 0))
		return false;
	return strcasecmp(p + 3, host) == 0;
}

/* No Origin: no browser. */
static bool
origin_allowed(const struct http_request *q)
{
	const char *origin = http_header(q, "Origin");
	const char *list = http_worker(q)->config.allowed_origins;

	if (origin == NULL)
		return true;
	if (list == NULL || *list == '\0')
		return origin_own(origin, http_header(q, "Host"));
	return origin_listed(list, origin);
}

static bool
who_may(struct http_request *q, struct caller *who)
{
	const char *field, *why = NULL;
	enum outcome o = http_identify(q, who, &field, &why);

	if (o == OUTCOME_OK && who->backend) {
		o = OUTCOME_INVALID;
		field = "X-User-Id";
		why = "A connection is a user's: name him in the X-User-Id "
		      "header.";
	}
	if (o == OUTCOME_OK && !origin_allowed(q)) {
		o = OUTCOME_FORBIDDEN;
		why = "This Origin is not in ALLOWED_ORIGINS.";
	}
	if (o != OUTCOME_OK)
		http_error(q, o, field, why);
	return o == OUTCOME_OK;
}

/* RFC 6455 section 4.2.1; true when it is a handshake. */
static bool
handshake_check(struct http_request *q)
{
	const char *upgrade = http_header(q, "Upgrade");
	const char *connection = http_header(q, "Connection");
	const char *version = http_header(q, "Sec-WebSocket-Version");
	const char *key = http_header(q, "Sec-WebSocket-Key");
	char accept[WS_ACCEPT_SIZE];
	const char *field = NULL;

	if (!http_is_upgradable(q)) {
		http_error(q, OUTCOME_INVALID, NULL,
		    "A WebSocket begins with a GET of HTTP/1.1.");
		return false;
	}
	if (upgrade == NULL || !guard_has_token(upgrade, "websocket"))
		field = "Upgrade";
	else if (connection == NULL || !guard_has_token(connection, "upgrade"))
		field = "Connection";
	if (field != NULL) {
		http_error(q, OUTCOME_INVALID, field,
		    "This is a WebSocket: send Upgrade: websocket and "
		    "Connection: Upgrade.");
		return false;
	}
	if (version == NULL || strcmp(version, "13") != 0) {
		http_add_header(q, "Sec-WebSocket-Version", "13");
		http_refuse(q, 426, "invalid_request", "Sec-WebSocket-Version",
		    "The only WebSocket version spoken is 13.");
		return false;
	}
	if (key == NULL || !ws_accept_key(key, accept)) {
		http_error(q, OUTCOME_INVALID, "Sec-WebSocket-Key",
		    "Sec-WebSocket-Key must be 16 bytes in base64.");
		return false;
	}
	return true;
}

void
ws_upgrade(struct http_request *q)
{
	struct worker *w = http_worker(q);
	const char *resume = http_query(q, "resume");
	bool resumes = resume != NULL && strcmp(resume, "1") == 0;
	struct caller who;
	struct buf early;
	char key[KEY_LEN + 1], peer[64], id[129];
	int fd;

	if (!who_may(q, &who) || !handshake_check(q))
		return;
	if (w->draining) {
		http_error(q, OUTCOME_BUSY, NULL, NULL);
		return;
	}
	/* The request is gone after the take-over. */
	strncpy(key, http_header(q, "Sec-WebSocket-Key"), KEY_LEN);
	key[KEY_LEN] = '\0';
	strncpy(peer, http_peer(q), sizeof(peer) - 1);
	peer[sizeof(peer) - 1] = '\0';
	strncpy(id, http_request_id(q), sizeof(id) - 1);
	id[sizeof(id) - 1] = '\0';
	buf_init(&early, EARLY_MAX);
	fd = http_take_over(q, &early);
	if (fd != -1)
		ws_conn_start(w, fd, &early, &who, key, id, peer, resumes);
	buf_free(&early);
}
