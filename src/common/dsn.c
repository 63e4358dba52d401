/* SPDX-License-Identifier: MIT */
/*
 * Reads a database name in go-sqlite's form.  The server sets journal mode,
 * synchronous and locking itself and answers for durability, so a parameter
 * that asks for less is an error, never silently dropped.  It must not touch
 * the file system.
 */
#include "dsn.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BUSY_TIMEOUT_DEFAULT 5000
#define BUSY_TIMEOUT_MAX 60000
#define PARAM_MAX 256

struct parse {
	struct dsn *dsn;
	char *err;
	size_t errsize;
	char *warn;
	size_t warnsize;
};

/* Values of a parameter that change nothing, ended by NULL, and why another
 * one is refused. */
struct rule {
	const char *name;
	const char *fine[5];
	const char *why;
};

static const struct rule rules[] = {
	{ "_journal_mode", { "WAL" },
	    "only WAL keeps readers and the writer apart" },
	{ "_journal", { "WAL" },
	    "only WAL keeps readers and the writer apart" },
	{ "_synchronous", { "FULL", "EXTRA", "2", "3" },
	    "less than FULL loses acknowledged messages" },
	{ "_sync", { "FULL", "EXTRA", "2", "3" },
	    "less than FULL loses acknowledged messages" },
	{ "_locking_mode", { "NORMAL" }, "the workers read the database too" },
	{ "_locking", { "NORMAL" }, "the workers read the database too" },
	{ "mode", { "rwc", "rw" }, "the server writes to a file" },
	{ "immutable", { "0", "false", "no", "off" },
	    "the server writes to the file" },
	{ "cache", { "private" }, "every process has a cache of its own" },
	{ "nolock", { "0", "false", "no", "off" },
	    "locks keep a second writer out" },
	{ "psow", { "0", "1" }, "it is 0 or 1" },
	{ "_query_only", { "0", "false", "no", "off" },
	    "the server writes to the file" },
	{ "_writable_schema", { "0", "false", "no", "off" },
	    "the schema is the server's" },
	{ "vfs", { NULL }, "the server uses SQLite's own" },
};

static int fail(struct parse *p, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static int
fail(struct parse *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p->err, p->errsize, fmt, ap);
	va_end(ap);
	return -1;
}

static int
hex_digit(char ch)
{
	if (ch >= '0' && ch <= '9')
		return ch - '0';
	if ((ch | 0x20) >= 'a' && (ch | 0x20) <= 'f')
		return (ch | 0x20) - 'a' + 10;
	return -1;
}

/* Undoes percent escapes.  -1 for a bad one, a NUL, or a lack of room. */
static int
unescape(char *out, size_t size, const char *s, size_t len)
{
	size_t i, n = 0;
	int ch;

	for (i = 0; i < len; i++) {
		ch = (unsigned char)s[i];
		if (ch == '%') {
			if (len - i < 3 || hex_digit(s[i + 1]) == -1 ||
			    hex_digit(s[i + 2]) == -1)
				return -1;
			ch = hex_digit(s[i + 1]) << 4 | hex_digit(s[i + 2]);
			i += 2;
		}
		if (ch == '\0' || n + 1 >= size)
			return -1;
		out[n++] = (char)ch;
	}
	out[n] = '\0';
	return 0;
}

/* The path of the file: form: "file:rel", "file:/abs", "file:///abs" or
 * "file://localhost/abs", as sqlite.org/uri.html has it. */
static int
parse_uri_path(struct parse *p, const char *s, size_t len)
{
	static const char local[] = "localhost";
	const size_t n = sizeof(local) - 1;

	if (len >= 2 && memcmp(s, "//", 2) == 0) {
		s += 2;
		len -= 2;
		if (len > n && memcmp(s, local, n) == 0 && s[n] == '/') {
			s += n;
			len -= n;
		}
		if (len == 0 || *s != '/')
			return fail(p,
			    "file:// must be followed by an"
			    " absolute path of this machine");
	}
	if (unescape(p->dsn->path, sizeof(p->dsn->path), s, len) == -1)
		return fail(p, "the path is too long or has a bad %% escape");
	return 0;
}

static bool
is_uri(const char *s)
{
	return strncmp(s, "file:", 5) == 0;
}

static int
parse_path(struct parse *p, const char *s, size_t len)
{
	char *path = p->dsn->path;

	if (is_uri(s)) {
		if (parse_uri_path(p, s + 5, len - 5) == -1)
			return -1;
	} else if (len >= sizeof(p->dsn->path))
		return fail(p, "the path is too long");
	else {
		memcpy(path, s, len);
		path[len] = '\0';
	}
	if (path[0] == '\0')
		return fail(p, "the name of the database file is missing");
	if (strcmp(path, ":memory:") == 0)
		return fail(p,
		    "a database in memory would lose everything;"
		    " name a file");
	if (path[strlen(path) - 1] == '/')
		return fail(p, "the path names a directory, not a file");
	return 0;
}

static int
parse_busy_timeout(struct parse *p, const char *value)
{
	size_t n = strlen(value);
	unsigned long v;

	if (n == 0 || n > 9 || strspn(value, "0123456789") != n)
		return fail(p, "_busy_timeout must be 0 to %d milliseconds",
		    BUSY_TIMEOUT_MAX);
	v = strtoul(value, NULL, 10);
	if (v > BUSY_TIMEOUT_MAX)
		return fail(p, "_busy_timeout must be 0 to %d milliseconds",
		    BUSY_TIMEOUT_MAX);
	p->dsn->busy_timeout_ms = (uint32_t)v;
	return 0;
}

static int
apply_rule(struct parse *p, const struct rule *r, const char *value)
{
	size_t i;

	for (i = 0; i < sizeof(r->fine) / sizeof(r->fine[0]); i++)
		if (r->fine[i] != NULL && strcasecmp(value, r->fine[i]) == 0)
			return 0;
	return fail(p, "%s=%s is refused: %s", r->name, value, r->why);
}

static void
add_warning(struct parse *p, const char *name)
{
	size_t n = strlen(p->warn);

	snprintf(p->warn + n, p->warnsize - n, "%s%s",
	    n == 0 ? "database parameters without effect here: " : ", ", name);
}

static int
parse_param(struct parse *p, const char *s, size_t len)
{
	const char *eq = memchr(s, '=', len);
	size_t namelen = eq == NULL ? len : (size_t)(eq - s), i;
	char name[PARAM_MAX], value[PARAM_MAX] = "";

	if (len == 0)
		return 0;
	if (unescape(name, sizeof(name), s, namelen) == -1 ||
	    (eq != NULL &&
		unescape(value, sizeof(value), eq + 1, len - namelen - 1) ==
		    -1))
		return fail(p,
		    "a parameter is too long or has a bad %% escape");
	if (strcmp(name, "_busy_timeout") == 0 || strcmp(name, "_timeout") == 0)
		return parse_busy_timeout(p, value);
	for (i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (strcmp(name, rules[i].name) == 0)
			return apply_rule(p, &rules[i], value);
	add_warning(p, name);
	return 0;
}

int
dsn_parse(const char *s, struct dsn *out, char *err, size_t errsize, char *warn,
    size_t warnsize)
{
	struct parse p = { .dsn = out,
		.err = err,
		.errsize = errsize,
		.warn = warn,
		.warnsize = warnsize };
	/* A URI's fragment means nothing to SQLite. */
	size_t len = strcspn(s, is_uri(s) ? "?#" : "?"), n;

	memset(out, 0, sizeof(*out));
	out->busy_timeout_ms = BUSY_TIMEOUT_DEFAULT;
	err[0] = warn[0] = '\0';
	if (parse_path(&p, s, len) == -1)
		return -1;
	s += len;
	while (*s == '?' || *s == '&') {
		s++;
		n = strcspn(s, "&#");
		if (parse_param(&p, s, n) == -1)
			return -1;
		s += n;
	}
	return 0;
}
