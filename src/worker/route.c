/* SPDX-License-Identifier: MIT */
/*
 * The table of routes and the taking apart of request targets.  Runs in a
 * worker; does no I/O and keeps no state.
 */
#include "route.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "../common/utf8.h"
#include "api.h"
#include "ws_upgrade.h"

#define BODY_MAX ((size_t)64 * 1024)
#define BODY_MAX_LISTS ((size_t)256 * 1024)

static const struct route routes[] = {
	{ ROUTE_GET, "/health", api_health, ROUTE_OPEN, BODY_MAX, false },
	{ ROUTE_GET, "/metrics", api_metrics, ROUTE_OPEN, BODY_MAX, false },
	{ ROUTE_GET, "/openapi.json", api_docs_openapi, ROUTE_OPEN, BODY_MAX,
	    false },
	{ ROUTE_GET, "/asyncapi.json", api_docs_asyncapi, ROUTE_OPEN, BODY_MAX,
	    false },
	{ ROUTE_GET, "/console", api_console_redirect, ROUTE_OPEN, BODY_MAX,
	    false },
	{ ROUTE_GET, "/console/", api_console_index, ROUTE_OPEN, BODY_MAX,
	    false },
	{ ROUTE_GET, "/console/{}", api_console_file, ROUTE_OPEN, BODY_MAX,
	    false },
	{ ROUTE_GET, "/console/client/{}", api_console_client, ROUTE_OPEN,
	    BODY_MAX, false },
	{ ROUTE_GET, "/ws", ws_upgrade, ROUTE_OPEN, BODY_MAX, false },
	{ ROUTE_GET, "/admin/tenants", api_tenants_list, ROUTE_ADMIN, BODY_MAX,
	    false },
	{ ROUTE_POST, "/admin/tenants", api_tenants_create, ROUTE_ADMIN,
	    BODY_MAX, true },
	{ ROUTE_GET, "/admin/tenants/{}", api_tenants_get, ROUTE_ADMIN,
	    BODY_MAX, false },
	{ ROUTE_PATCH, "/admin/tenants/{}", api_tenants_update, ROUTE_ADMIN,
	    BODY_MAX, true },
	{ ROUTE_DELETE, "/admin/tenants/{}", api_tenants_delete, ROUTE_ADMIN,
	    BODY_MAX, false },
	{ ROUTE_GET, "/admin/tenants/{}/keys", api_keys_list, ROUTE_ADMIN,
	    BODY_MAX, false },
	{ ROUTE_POST, "/admin/tenants/{}/keys", api_keys_add, ROUTE_ADMIN,
	    BODY_MAX, false },
	{ ROUTE_DELETE, "/admin/tenants/{}/keys/{}", api_keys_revoke,
	    ROUTE_ADMIN, BODY_MAX, false },
	{ ROUTE_GET, "/admin/dead-letters", api_dead_letters_list,
	    ROUTE_BACKEND, BODY_MAX, false },
	{ ROUTE_POST, "/admin/dead-letters/{}/retry", api_dead_letters_retry,
	    ROUTE_BACKEND, BODY_MAX, false },
	{ ROUTE_DELETE, "/admin/dead-letters/{}", api_dead_letters_drop,
	    ROUTE_BACKEND, BODY_MAX, false },
	{ ROUTE_GET, "/channels", api_channels_list, ROUTE_TENANT, BODY_MAX,
	    false },
	{ ROUTE_GET, "/rooms", api_rooms_list, ROUTE_TENANT, BODY_MAX, false },
	{ ROUTE_POST, "/rooms", api_rooms_create, ROUTE_TENANT, BODY_MAX_LISTS,
	    true },
	{ ROUTE_GET, "/rooms/{}", api_rooms_get, ROUTE_TENANT, BODY_MAX,
	    false },
	{ ROUTE_PATCH, "/rooms/{}", api_rooms_update, ROUTE_TENANT, BODY_MAX,
	    true },
	{ ROUTE_DELETE, "/rooms/{}", api_rooms_delete, ROUTE_TENANT, BODY_MAX,
	    false },
	{ ROUTE_GET, "/rooms/{}/members", api_members_list, ROUTE_TENANT,
	    BODY_MAX, false },
	{ ROUTE_POST, "/rooms/{}/members", api_members_add, ROUTE_TENANT,
	    BODY_MAX_LISTS, true },
	{ ROUTE_DELETE, "/rooms/{}/members/{}", api_members_remove,
	    ROUTE_TENANT, BODY_MAX, false },
	{ ROUTE_GET, "/rooms/{}/messages", api_messages_list, ROUTE_TENANT,
	    BODY_MAX, false },
	{ ROUTE_POST, "/rooms/{}/messages", api_messages_send, ROUTE_USER,
	    BODY_MAX, true },
	{ ROUTE_GET, "/rooms/{}/messages/{}", api_messages_get, ROUTE_TENANT,
	    BODY_MAX, false },
	{ ROUTE_PUT, "/rooms/{}/messages/{}", api_messages_edit, ROUTE_USER,
	    BODY_MAX, true },
	{ ROUTE_DELETE, "/rooms/{}/messages/{}", api_messages_delete,
	    ROUTE_TENANT, BODY_MAX, false },
	{ ROUTE_POST, "/ws/token", api_ws_token_issue, ROUTE_TENANT, BODY_MAX,
	    ROUTE_JSON_OR_NONE },
	{ ROUTE_POST, "/acks", api_acks_post, ROUTE_USER, BODY_MAX, true },
	{ ROUTE_POST, "/notify", api_notify_post, ROUTE_TENANT, BODY_MAX_LISTS,
	    true },
	{ ROUTE_GET, "/notifications", api_notifications_list, ROUTE_USER,
	    BODY_MAX, false },
	{ ROUTE_POST, "/notifications/{}/ack", api_notifications_ack,
	    ROUTE_USER, BODY_MAX, false },
	{ ROUTE_GET, "/subscriptions", api_subscriptions_list, ROUTE_USER,
	    BODY_MAX, false },
	{ ROUTE_POST, "/subscriptions", api_subscriptions_add, ROUTE_USER,
	    BODY_MAX, true },
	{ ROUTE_DELETE, "/subscriptions/{}", api_subscriptions_remove,
	    ROUTE_USER, BODY_MAX, false },
	{ 0 },
};

static const struct {
	const char *name;
	enum route_method method;
} methods[] = {
	{ "GET", ROUTE_GET },
	{ "HEAD", ROUTE_HEAD },
	{ "POST", ROUTE_POST },
	{ "PUT", ROUTE_PUT },
	{ "PATCH", ROUTE_PATCH },
	{ "DELETE", ROUTE_DELETE },
};

#define NMETHODS (sizeof(methods) / sizeof(methods[0]))

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/*
 * Undoes the escapes of one component into *at, followed by a NUL, and moves
 * *at behind it.  False when an escape is broken or a byte is not allowed.
 */
static bool
component_decode(struct str *out, char **at, const char *p, size_t len,
    bool plus)
{
	char *o = *at;

	out->p = o;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)p[i];

		if (c == '%') {
			int hi = i + 2 < len ? hex_value(p[i + 1]) : -1;
			int lo = i + 2 < len ? hex_value(p[i + 2]) : -1;

			if (hi < 0 || lo < 0)
				return false;
			c = (unsigned char)(hi << 4 | lo);
			i += 2;
		} else if (plus && c == '+')
			c = ' ';
		if (c < 0x20 || c == 0x7f)
			return false;
		*o++ = (char)c;
	}
	out->len = (size_t)(o - out->p);
	*o++ = '\0';
	*at = o;
	return utf8_valid(out->p, out->len);
}

/* The path of an absolute-form target, or the target itself. */
static const char *
target_origin(const char *target, const char *end)
{
	static const char *const schemes[] = { "http://", "https://" };

	for (size_t i = 0; i < 2; i++) {
		size_t n = strlen(schemes[i]);

		if ((size_t)(end - target) < n ||
		    strncasecmp(target, schemes[i], n) != 0)
			continue;
		target += n;
		while (target < end && *target != '/' && *target != '?')
			target++;
		break;
	}
	return target;
}

static const char *
path_parse(struct route_target *t, char **at, const char *p, const char *end)
{
	bool more = p < end;

	while (more) {
		const char *slash = memchr(p, '/', (size_t)(end - p));
		const char *stop = slash != NULL ? slash : end;
		struct str segment;

		if (!component_decode(&segment, at, p, (size_t)(stop - p),
			false))
			return "The path holds a broken percent escape, a "
			       "control character or bytes that are not UTF-8.";
		more = slash != NULL;
		if (t->nsegments == ROUTE_SEGMENTS_MAX ||
		    (segment.len == 0 && (more || t->nsegments == 0))) {
			t->nsegments = 0;
			return NULL;
		}
		t->segments[t->nsegments++] = segment;
		p = stop + 1;
	}
	return NULL;
}

static const char broken_query[] =
    "The query holds a broken percent escape, a control character or bytes "
    "that are not UTF-8.";

static const char *
query_parse(struct route_target *t, char **at, const char *p, const char *end,
    const char **field)
{
	while (p < end) {
		const char *amp = memchr(p, '&', (size_t)(end - p));
		const char *stop = amp != NULL ? amp : end;
		const char *eq = memchr(p, '=', (size_t)(stop - p));
		const char *name_end = eq != NULL ? eq : stop;
		const char *value = eq != NULL ? eq + 1 : stop;
		struct route_pair *pair = &t->pairs[t->npairs];

		if (stop > p) {
			if (t->npairs == ROUTE_QUERY_MAX)
				return "The query has too many parameters.";
			if (!component_decode(&pair->name, at, p,
				(size_t)(name_end - p), true))
				return broken_query;
			*field = pair->name.p;
			if (!component_decode(&pair->value, at, value,
				(size_t)(stop - value), true))
				return broken_query;
			*field = NULL;
			t->npairs++;
		}
		p = amp != NULL ? amp + 1 : end;
	}
	return NULL;
}

const char *
route_target_parse(struct route_target *t, const char *target, size_t len,
    const char **field)
{
	const char *end = target + len;
	const char *p, *query, *why;
	char *at = t->text;

	*field = NULL;
	t->nsegments = 0;
	t->npairs = 0;
	if (len > ROUTE_TARGET_MAX)
		return "The request line is longer than 2 KiB.";
	p = target_origin(target, end);
	query = p < end ? memchr(p, '?', (size_t)(end - p)) : NULL;
	if (memchr(target, '#', len) != NULL ||
	    (p < end && *p != '/' && *p != '?') || (p == end && p == target))
		return "The request target must be an absolute path.";
	if (p < end && *p == '/')
		p++;
	why = path_parse(t, &at, p, query != NULL ? query : end);
	if (why != NULL || query == NULL)
		return why;
	/* An unknown path may have filled the text: its query is moot. */
	if (t->nsegments == 0)
		return NULL;
	return query_parse(t, &at, query + 1, end, field);
}

const char *
route_target_query(const struct route_target *t, const char *name)
{
	size_t len = strlen(name);

	for (unsigned i = t->npairs; i > 0; i--) {
		const struct route_pair *pair = &t->pairs[i - 1];

		if (pair->name.len == len &&
		    memcmp(pair->name.p, name, len) == 0)
			return pair->value.p;
	}
	return NULL;
}

/* Compares a pattern with the segments; the {} go to m. */
static bool
pattern_match(const char *pattern, const struct route_target *t,
    struct str params[ROUTE_PARAMS_MAX], unsigned *nparams)
{
	unsigned n = 0;

	*nparams = 0;
	while (*pattern == '/') {
		size_t len = strcspn(++pattern, "/");
		const struct str *s;

		if (n == t->nsegments)
			return false;
		s = &t->segments[n++];
		if (len == 2 && pattern[0] == '{') {
			if (*nparams == ROUTE_PARAMS_MAX || s->len == 0)
				return false;
			params[(*nparams)++] = *s;
		} else if (s->len != len || memcmp(s->p, pattern, len) != 0)
			return false;
		pattern += len;
	}
	return n == t->nsegments;
}

void
route_match_in(const struct route *table, struct route_match *m,
    const struct route_target *t, enum route_method method)
{
	enum route_method wanted = method == ROUTE_HEAD ? ROUTE_GET : method;

	m->route = NULL;
	m->allowed = 0;
	m->nparams = 0;
	for (const struct route *r = table; r->pattern != NULL; r++) {
		struct str params[ROUTE_PARAMS_MAX];
		unsigned nparams;

		if (!pattern_match(r->pattern, t, params, &nparams))
			continue;
		m->allowed |= r->method;
		if (r->method == ROUTE_GET)
			m->allowed |= ROUTE_HEAD;
		if (r->method == wanted) {
			m->route = r;
			m->nparams = nparams;
			for (unsigned i = 0; i < nparams; i++)
				m->params[i] = params[i];
		}
	}
}

const struct route *
route_table(void)
{
	return routes;
}

void
route_match(struct route_match *m, const struct route_target *t,
    enum route_method method)
{
	route_match_in(routes, m, t, method);
}

void
route_allow(char out[ROUTE_ALLOW_SIZE], unsigned allowed)
{
	size_t len = 0;

	out[0] = '\0';
	for (size_t i = 0; i < NMETHODS; i++)
		if ((allowed & methods[i].method) != 0)
			len += (size_t)snprintf(out + len,
			    ROUTE_ALLOW_SIZE - len, "%s%s", len > 0 ? ", " : "",
			    methods[i].name);
}

enum route_method
route_method_parse(const char *name)
{
	for (size_t i = 0; i < NMETHODS; i++)
		if (strcmp(methods[i].name, name) == 0)
			return methods[i].method;
	return ROUTE_OTHER;
}
