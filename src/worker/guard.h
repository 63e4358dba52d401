/* SPDX-License-Identifier: MIT */
/*
 * What the HTTP parser lets through and no server should: a guard in front
 * of the router (RFC 9112).  Pure: knows nothing of the HTTP library.
 */
#ifndef WORKER_GUARD_H
#define WORKER_GUARD_H

#include <stdbool.h>
#include <stddef.h>

#define GUARD_HEADERS_MAX 64

struct guard_header {
	const char *name;
	const char *value;
};

struct guard_request {
	int major, minor; /* of the protocol version */
	/* The parser reads no body for this method (HEAD, TRACE, unknown
	 * ones): one that is announced would be taken for a request. */
	bool bodyless;
	bool nul;    /* a NUL byte came before the blank line */
	bool chunks; /* the chunks of its body are malformed */
	size_t nheaders;
	const struct guard_header *headers;
};

/*
 * NULL when the request may go on; else a sentence for the client.  The
 * answer is then 400 and the connection must be closed: where the request
 * ends is not certain.
 */
const char *guard_check(const struct guard_request *r)
    __attribute__((warn_unused_result));
/* The first value of that header; NULL when absent. */
const char *guard_header(const struct guard_header *h, size_t n,
    const char *name);
/* True when a comma-separated header value lists the token, in any case. */
bool guard_has_token(const char *value, const char *token);

#endif
