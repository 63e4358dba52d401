/* SPDX-License-Identifier: MIT */
/*
 * The opening handshake of a WebSocket: who, from which origin, and whether
 * the request is one.  A token that is good once is redeemed by the writer
 * first.  Runs in a worker; the 101 is written by ws_conn.c.
 */
#include "ws_upgrade.h"

#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "../common/buf.h"
#include "../common/key.h"
#include "../common/submit.h"
#include "../common/records_token.h"
#include "api_args.h"
#include "auth.h"
#include "guard.h"
#include "http.h"
#include "reader.h"
#include "worker.h"
#include "ws_conn.h"
#include "ws_frame.h"

#define KEY_LEN 24
/* What may wait behind the handshake: a resume and its header fit. */
#define EARLY_MAX ((size_t)1100 * 1024)

/* Whether the page, if it is one, may; answers if not. */
static bool
origin_check(struct http_request *q)
{
	if (http_origin_allowed(q))
		return true;
	http_error(q, OUTCOME_FORBIDDEN, NULL,
	    "This Origin is not in ALLOWED_ORIGINS.");
	return false;
}

/* By headers or by a JWT in the URL; answers when it may not. */
static bool
who_may(struct http_request *q, const char *token, struct caller *who)
{
	const char *field = NULL, *why = NULL;
	enum outcome o;

	if (token != NULL)
		o = http_identify_token(q, token, who, &field, &why);
	else
		o = http_identify(q, who, &field, &why);
	if (o == OUTCOME_OK && who->backend) {
		o = OUTCOME_INVALID;
		field = "X-User-Id";
		why = "A connection is a user's: name him in the X-User-Id "
		      "header.";
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

/* Everything is checked: the connection begins. */
static void
upgrade_start(struct http_request *q, const struct caller *who)
{
	struct worker *w = http_worker(q);
	const char *resume = http_query(q, "resume");
	bool resumes = resume != NULL && strcmp(resume, "1") == 0;
	const char *sec_key = http_header(q, "Sec-WebSocket-Key");
	struct buf early;
	char key[KEY_LEN + 1], peer[64], id[129];
	struct ws_socket s;

	/* The request is gone after the take-over. */
	strncpy(key, sec_key != NULL ? sec_key : "", KEY_LEN);
	key[KEY_LEN] = '\0';
	strncpy(peer, http_peer(q), sizeof(peer) - 1);
	peer[sizeof(peer) - 1] = '\0';
	strncpy(id, http_request_id(q), sizeof(id) - 1);
	id[sizeof(id) - 1] = '\0';
	buf_init(&early, EARLY_MAX);
	if (http_take_over(q, &s, &early) == 0)
		ws_conn_start(w, &s, &early, who, key, id, peer, resumes);
	buf_free(&early);
}

/* ---- tokens that are good once ---- */

static void
token_refuse(struct http_request *q)
{
	http_error(q, OUTCOME_UNAUTHORIZED, NULL,
	    "This token is unknown, used or expired: it opens one WebSocket "
	    "within 60 s. Get a new one from POST /ws/token.");
}

/* The caller that a redeemed token stands for; false: malformed. */
static bool
token_caller(const struct rec_reply *r, struct caller *who)
{
	memset(who, 0, sizeof(*who));
	if (r->text.len < 2 || r->text.len - 1 > sizeof(who->user) - 1 ||
	    r->room == 0 || r->seq == 0 || r->ms > INT64_MAX)
		return false;
	who->tenant = r->room;
	if (*r->text.p == 'k')
		who->key = r->seq;
	else
		who->jwt_n = r->seq;
	who->by_key = who->key != 0;
	who->ends_ms = (int64_t)r->ms;
	who->user_len = r->text.len - 1;
	memcpy(who->user, r->text.p + 1, who->user_len);
	return true;
}

static void
token_redeemed(const struct rec_reply *reply, void *arg)
{
	struct http_request *q = arg;
	struct caller who;
	enum outcome o;

	if (reply->outcome == OUTCOME_UNAUTHORIZED) {
		token_refuse(q);
		return;
	}
	if (reply->outcome != OUTCOME_OK) {
		api_refuse(q, reply->outcome);
		return;
	}
	if (!token_caller(reply, &who)) {
		http_error(q, OUTCOME_INTERNAL, NULL, NULL);
		return;
	}
	/* An event may have come before this answer: its connection was not
	 * there yet to be looked at. */
	o = auth_recheck(http_worker(q)->auth, &who);
	if (o == OUTCOME_UNAUTHORIZED)
		token_refuse(q);
	else if (o != OUTCOME_OK)
		http_error(q, o, NULL, NULL);
	else
		upgrade_start(q, &who);
}

static void
token_redeem(struct http_request *q, const char *token)
{
	struct worker *w = http_worker(q);
	struct rec_op_ws_token_redeem op = { 0 };
	uint64_t tenant;
	struct buf *b;
	int rc;

	if (!key_ws_token_hash(token, strlen(token), op.hash)) {
		token_refuse(q);
		return;
	}
	/* What was never issued, or is gone, costs the writer nothing. */
	rc = reader_ws_token(w->reader, op.hash, &tenant);
	if (rc == 0) {
		token_refuse(q);
		return;
	}
	if (rc == -1) {
		http_error(q, OUTCOME_STORAGE, NULL, NULL);
		return;
	}
	b = submit_begin(w->submit, &op.h, tenant);
	rec_op_ws_token_redeem_put(b, &op);
	api_submitted(q, submit_end(w->submit, token_redeemed, q));
}

void
ws_upgrade(struct http_request *q)
{
	const char *token = http_query(q, "token");
	bool once;
	struct caller who;

	/* What http_identify() refuses in any case. */
	if (http_query(q, "api_key") != NULL)
		token = NULL;
	if (token != NULL &&
	    (http_header(q, "X-API-Key") != NULL || http_bearer(q) != NULL)) {
		http_error(q, OUTCOME_UNAUTHORIZED, NULL,
		    "Show a token in the URL or a credential in the headers, "
		    "not both.");
		return;
	}
	once = token != NULL && strncmp(token, "wst_", 4) == 0;
	if ((!once && !who_may(q, token, &who)) || !origin_check(q) ||
	    !handshake_check(q))
		return;
	/* With a successor at hand, 1012 sends him there at once; a token
	 * that opens one connection must not be used up for that. */
	if (http_worker(q)->draining && (once || !http_worker(q)->replaced))
		http_error(q, OUTCOME_BUSY, NULL, NULL);
	else if (once)
		token_redeem(q, token);
	else
		upgrade_start(q, &who);
}
