/* SPDX-License-Identifier: MIT */
/*
 * Refuses malformed requests that evhttp accepts: ambiguous framing, broken
 * header names, control bytes, a missing Host.  Runs in a worker; looks only
 * at what it is given.
 */
#include "guard.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* Headers of which a second one would make two parties read two requests. */
enum {
	ONE_HOST,
	ONE_LENGTH,
	ONE_ENCODING,
	ONE_TYPE,
	ONE_API_KEY,
	ONE_USER_ID,
	ONE_MASTER_KEY,
	ONE_AUTHORIZATION,
	ONE_IDEMPOTENCY,
	ONE_WS_KEY,
	ONE_WS_VERSION,
	ONE_ORIGIN,
	ONE_LAST
};

static const char *const once[ONE_LAST] = {
	[ONE_HOST] = "Host",
	[ONE_LENGTH] = "Content-Length",
	[ONE_ENCODING] = "Transfer-Encoding",
	[ONE_TYPE] = "Content-Type",
	[ONE_API_KEY] = "X-API-Key",
	[ONE_USER_ID] = "X-User-Id",
	[ONE_MASTER_KEY] = "X-Master-Key",
	[ONE_AUTHORIZATION] = "Authorization",
	[ONE_IDEMPOTENCY] = "Idempotency-Key",
	[ONE_WS_KEY] = "Sec-WebSocket-Key",
	[ONE_WS_VERSION] = "Sec-WebSocket-Version",
	[ONE_ORIGIN] = "Origin",
};

/* RFC 9110 section 5.6.2. */
static bool
token_char(unsigned char c)
{
	return isalnum(c) || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

static bool
name_valid(const char *name)
{
	if (*name == '\0')
		return false;
	for (; *name != '\0'; name++)
		if (!token_char((unsigned char)*name))
			return false;
	return true;
}

static bool
length_valid(const char *value)
{
	size_t digits = strspn(value, "0123456789");

	return digits > 0 && digits <= 18 && value[digits] == '\0';
}

const char *
guard_header(const struct guard_header *h, size_t n, const char *name)
{
	int first = tolower((unsigned char)name[0]);

	for (size_t i = 0; i < n; i++)
		if (tolower((unsigned char)h[i].name[0]) == first &&
		    strcasecmp(h[i].name, name) == 0)
			return h[i].value;
	return NULL;
}

bool
guard_has_token(const char *value, const char *token)
{
	size_t len = strlen(token);

	while (*value != '\0') {
		size_t n;

		value += strspn(value, " \t,");
		n = strcspn(value, " \t,");
		if (n == len && strncasecmp(value, token, len) == 0)
			return true;
		value += n;
	}
	return false;
}

static const char *
framing_check(const struct guard_request *r, const char *length,
    const char *encoding)
{
	if (length != NULL && !length_valid(length))
		return "Content-Length is not a number.";
	if (length != NULL && encoding != NULL)
		return "Content-Length and Transfer-Encoding exclude each "
		       "other.";
	if (encoding != NULL && strcasecmp(encoding, "chunked") != 0)
		return "The only Transfer-Encoding understood is chunked.";
	if (encoding != NULL && r->minor == 0)
		return "HTTP/1.0 has no Transfer-Encoding.";
	if (r->bodyless &&
	    (encoding != NULL ||
		(length != NULL && strspn(length, "0") != strlen(length))))
		return "A request with this method carries no body.";
	return NULL;
}

const char *
guard_check(const struct guard_request *r)
{
	const char *seen[ONE_LAST] = { NULL };

	if (r->major != 1 || r->minor < 0)
		return "The HTTP version is not understood: use HTTP/1.1.";
	if (r->nul)
		return "The headers hold a NUL byte.";
	if (r->chunks)
		return "The chunks of the body are malformed.";
	if (r->nheaders > GUARD_HEADERS_MAX)
		return "There are more than 64 headers.";
	for (size_t i = 0; i < r->nheaders; i++) {
		const struct guard_header *h = &r->headers[i];

		if (!name_valid(h->name))
			return "A header name is empty or holds characters "
			       "that are not allowed.";
		for (size_t k = 0; k < ONE_LAST; k++) {
			if ((h->name[0] | 0x20) != (once[k][0] | 0x20) ||
			    strcasecmp(h->name, once[k]) != 0)
				continue;
			if (seen[k] != NULL)
				return "A header that may stand once comes "
				       "twice.";
			seen[k] = h->value;
		}
	}
	if (r->minor >= 1 && seen[ONE_HOST] == NULL)
		return "The Host header is missing.";
	return framing_check(r, seen[ONE_LENGTH], seen[ONE_ENCODING]);
}
