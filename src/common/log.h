/* SPDX-License-Identifier: MIT */
/*
 * The logger, the only global: one logfmt line a call on stderr, e.g.
 *   level=info role=worker slot=2 msg="listening" addr=[::]:8080
 * with a <N> priority in front when the journal reads it (JOURNAL_STREAM).
 * Never a key, token or message body in a line.
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stddef.h>

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG
};

/* role is borrowed for good; slot < 0 is left out. */
void log_init(const char *role, int slot);
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
/* "error", "warn" (also "warning"), "info", "debug"; -1 for another. */
int log_level_parse(const char *s, enum log_level *out)
    __attribute__((warn_unused_result));
const char *log_level_name(enum log_level level);

/* msg is a constant; fmt makes the "key=value …" tail, NULL for none.  A
 * line is cut at 1,000 bytes; control characters become '?'. */
void log_write(enum log_level level, const char *msg, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Why the program cannot be run as it was called: "chatapi: text", as the user
 * of a terminal expects it; in the journal it is an error. */
void log_complain(const char *text);
/* Quotes an untrusted string as a logfmt value into out; returns out. */
const char *log_quote(char *out, size_t size, const char *s, size_t len);

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
