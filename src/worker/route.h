/* SPDX-License-Identifier: MIT */
/*
 * Which handler answers which request.  The table is static; taking a
 * request target apart and matching it are pure.
 */
#ifndef WORKER_ROUTE_H
#define WORKER_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../common/records.h"

struct http_request;

/* The request line's most; a longer one is refused before it comes here. */
#define ROUTE_TARGET_MAX 2048
#define ROUTE_SEGMENTS_MAX 8
#define ROUTE_PARAMS_MAX 2
#define ROUTE_QUERY_MAX 32

enum route_method {
	ROUTE_GET = 1,
	ROUTE_HEAD = 2, /* answered as GET, without the body */
	ROUTE_POST = 4,
	ROUTE_PUT = 8,
	ROUTE_PATCH = 16,
	ROUTE_DELETE = 32,
	ROUTE_OTHER = 64 /* any other: no route has it */
};

/* Who may come in. */
enum route_identity {
	ROUTE_OPEN,   /* anybody, or the handler looks itself */
	ROUTE_ADMIN,  /* X-Master-Key */
	ROUTE_TENANT, /* X-API-Key, with or without X-User-Id, or a JWT */
	ROUTE_USER,   /* X-API-Key and X-User-Id, or a JWT */
	ROUTE_BACKEND /* as ROUTE_TENANT; the handler refuses users */
};

/* Where the table says false or true. */
enum route_json {
	ROUTE_NO_JSON = false,
	ROUTE_JSON = true, /* the body must be a JSON object */
	ROUTE_JSON_OR_NONE /* no body is an empty object */
};

struct route {
	enum route_method method;
	const char *pattern; /* "/rooms/{}/members" */
	void (*handler)(struct http_request *q);
	enum route_identity identity;
	size_t body_max; /* bytes */
	uint8_t json;    /* enum route_json */
};

struct route_pair {
	struct str name;
	struct str value; /* also NUL-terminated */
};

/* A request target taken apart; strings point into `text`. */
struct route_target {
	unsigned nsegments;
	struct str segments[ROUTE_SEGMENTS_MAX];
	unsigned npairs;
	struct route_pair pairs[ROUTE_QUERY_MAX];
	/* Each of the segments and pairs is followed by a NUL. */
	char text[ROUTE_TARGET_MAX + ROUTE_SEGMENTS_MAX + 2 * ROUTE_QUERY_MAX +
	    1];
};

/*
 * Takes an origin-form ("/path?query") or absolute-form target apart and
 * undoes its percent escapes, and '+' in the query.  NULL, or a sentence for
 * the client: a broken escape, control characters, bytes that are not UTF-8,
 * too long; *field = the query parameter to blame, inside t, or NULL.  A path that no route can have (too many segments, or an
 * empty one before the last) comes back with nsegments 0.
 */
const char *route_target_parse(struct route_target *t, const char *target,
    size_t len, const char **field) __attribute__((warn_unused_result));
/* The last value of that name; NULL when absent. */
const char *route_target_query(const struct route_target *t, const char *name);

struct route_match {
	const struct route *route; /* NULL: none */
	unsigned allowed;          /* methods of the path; 0 = unknown path */
	unsigned nparams;
	struct str params[ROUTE_PARAMS_MAX];
};

/* All routes, up to a NULL pattern; for the test that compares them with
 * doc/openapi.json. */
const struct route *route_table(void);
/* Looks a target up in the table. */
void route_match(struct route_match *m, const struct route_target *t,
    enum route_method method);
/* The same in a table that ends with a NULL pattern. */
void route_match_in(const struct route *table, struct route_match *m,
    const struct route_target *t, enum route_method method);
/* "GET, HEAD, POST" for the Allow header; out holds ROUTE_ALLOW_SIZE. */
#define ROUTE_ALLOW_SIZE 48
void route_allow(char out[ROUTE_ALLOW_SIZE], unsigned allowed);
enum route_method route_method_parse(const char *name);

#endif
