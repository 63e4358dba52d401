/* SPDX-License-Identifier: MIT */
/*
 * ALLOWED_ORIGINS: who is in it, and what an answer tells the browser.  Runs
 * in a worker; no I/O, no state.
 */
#include "cors.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "../common/buf.h"

/* A browser takes no more than some hours, whatever it is told. */
#define MAX_AGE "3600"

/* What an origin is made of, and nothing that could end a header line. */
static bool
origin_sane(const char *origin)
{
	for (; *origin != '\0'; origin++)
		if (!isalnum((unsigned char)*origin) &&
		    strchr(".-_[]:/+", *origin) == NULL)
			return false;
	return true;
}

/* The origin of the host that was asked; by either scheme if it is not known
 * which. */
static bool
origin_own(const char *origin, const char *scheme, const char *host)
{
	const char *p = strstr(origin, "://");
	size_t len;

	if (p == NULL || host == NULL || *host == '\0')
		return false;
	len = (size_t)(p - origin);
	if (!(len == 4 && strncasecmp(origin, "http", 4) == 0) &&
	    !(len == 5 && strncasecmp(origin, "https", 5) == 0))
		return false;
	if (scheme != NULL && len != strlen(scheme))
		return false;
	return strcasecmp(p + 3, host) == 0;
}

enum cors_verdict
cors_check(const char *list, const char *origin, const char *scheme,
    const char *host)
{
	enum cors_verdict v = CORS_OTHER;
	size_t len;

	if (origin == NULL)
		return CORS_NONE;
	if (list == NULL || *list == '\0')
		return origin_sane(origin) && origin_own(origin, scheme, host) ?
		    CORS_OWN :
		    CORS_OTHER;
	len = strlen(origin);
	while (*list != '\0') {
		size_t n;

		list += strspn(list, " \t,");
		n = strcspn(list, ",");
		while (n > 0 && (list[n - 1] == ' ' || list[n - 1] == '\t'))
			n--;
		if (n == len && len > 1 && origin_sane(origin) &&
		    strncasecmp(list, origin, len) == 0)
			return CORS_LISTED;
		if (n == 1 && *list == '*')
			v = CORS_ANY;
		list += strcspn(list, ",");
	}
	return v;
}

void
cors_headers(struct buf *b, enum cors_verdict v, const char *origin)
{
	if (v == CORS_NONE)
		return;
	if (v != CORS_OTHER) {
		buf_adds(b, "Access-Control-Allow-Origin: ");
		buf_adds(b, v == CORS_ANY ? "*" : origin);
		/* "*" and credentials exclude each other. */
		if (v != CORS_ANY)
			buf_adds(b,
			    "\r\nAccess-Control-Allow-Credentials: true");
		buf_adds(b,
		    "\r\nAccess-Control-Expose-Headers: X-RateLimit-Limit, "
		    "X-RateLimit-Remaining, X-RateLimit-Reset, Retry-After, "
		    "X-Request-Id\r\n");
	}
	buf_adds(b, "Vary: Origin\r\n");
}

void
cors_preflight(struct buf *b, const char *methods)
{
	buf_adds(b, "Access-Control-Allow-Methods: ");
	buf_adds(b, methods);
	buf_adds(b,
	    "\r\nAccess-Control-Allow-Headers: X-API-Key, X-User-Id, "
	    "Authorization, Idempotency-Key, Content-Type, X-Request-Id"
	    "\r\nAccess-Control-Max-Age: " MAX_AGE "\r\n");
}
