/* SPDX-License-Identifier: MIT */
/*
 * GET /console/…: the files of the web console.  Runs in a worker; open to
 * anybody: the pages hold no secret, and what they do they do with the keys
 * of who looks at them.
 */
#include <string.h>

#include "../common/buf.h"
#include "api.h"
#include "console.h"
#include "http.h"
#include "worker.h"

/*
 * Each file is asked for anew and answered 304 while it is the same.  The
 * pages run only what this server has sent and speak to it alone; 'self'
 * covers its WebSocket (CSP3, section 6.7.2.8).
 */
static const char head_lines[] =
    "Cache-Control: no-cache\r\n"
    "Content-Security-Policy: default-src 'none'; script-src 'self'; "
    "style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
    "Referrer-Policy: no-referrer\r\n"
    "Cross-Origin-Opener-Policy: same-origin\r\n";

/* Whether If-None-Match names the tag, RFC 9110 section 13.1.2. */
static bool
etag_known(const char *list, const char *etag)
{
	size_t len = strlen(etag);

	if (list == NULL)
		return false;
	if (strcmp(list, "*") == 0)
		return true;
	for (const char *p = list; (p = strstr(p, etag)) != NULL; p += len) {
		const char *end = p + len + strspn(p + len, " \t");

		if (*end == ',' || *end == '\0')
			return true;
	}
	return false;
}

static void
console_reply(struct http_request *q, const char *folder, struct str name)
{
	const struct console_file *f = console_find(http_worker(q)->console,
	    folder, name);
	struct buf *b;

	if (f == NULL) {
		http_error(q, OUTCOME_NOT_FOUND, NULL, NULL);
		return;
	}
	http_set_head(q, head_lines);
	http_add_header(q, "ETag", f->etag);
	if (etag_known(http_header(q, "If-None-Match"), f->etag)) {
		http_reply(q, 304, NULL);
		return;
	}
	http_set_type(q, f->type);
	b = http_body(q);
	buf_add(b, f->data, f->len);
	http_reply(q, 200, b);
}

void
api_console_index(struct http_request *q)
{
	struct str name = { "index.html", strlen("index.html") };

	console_reply(q, "", name);
}

void
api_console_file(struct http_request *q)
{
	console_reply(q, "", http_param(q, 0));
}

void
api_console_client(struct http_request *q)
{
	console_reply(q, CONSOLE_CLIENT, http_param(q, 0));
}

/* Without the last slash the page's relative names would lead elsewhere. */
void
api_console_redirect(struct http_request *q)
{
	if (http_worker(q)->console == NULL) {
		http_error(q, OUTCOME_NOT_FOUND, NULL, NULL);
		return;
	}
	http_add_header(q, "Location", "/console/");
	http_reply(q, 308, NULL);
}
