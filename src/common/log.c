/* SPDX-License-Identifier: MIT */
/*
 * The logger: one write(2) of one line on stderr per call, so that lines of
 * several processes do not mix.  Every process uses it.
 */
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "utf8.h"

#define LINE_MAX_BYTES 1000

static struct {
	const char *role;
	int slot;
	enum log_level level;
	bool journal;
} logger = { "chatapi", -1, LOG_LEVEL_INFO, false };

static const char *const level_names[] = { "error", "warn", "info", "debug" };

/* The variable is inherited by who redirects stderr, too; it names the
 * device and inode of the stream that the journal reads. */
static bool
log_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	if (stream == NULL || sscanf(stream, "%llu:%llu", &dev, &ino) != 2)
		return false;
	return fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev &&
	    st.st_ino == ino;
}

void
log_init(const char *role, int slot)
{
	logger.role = role;
	logger.slot = slot;
	logger.journal = log_is_journal();
}

void
log_set_level(enum log_level level)
{
	logger.level = level;
}

enum log_level
log_get_level(void)
{
	return logger.level;
}

const char *
log_level_name(enum log_level level)
{
	return level_names[level];
}

int
log_level_parse(const char *s, enum log_level *out)
{
	for (int i = LOG_LEVEL_ERROR; i <= LOG_LEVEL_DEBUG; i++) {
		if (strcmp(s, level_names[i]) == 0) {
			*out = (enum log_level)i;
			return 0;
		}
	}
	if (strcmp(s, "warning") == 0) {
		*out = LOG_LEVEL_WARN;
		return 0;
	}
	return -1;
}

/* Appends to a line of LINE_MAX_BYTES, cutting what does not fit. */
static void __attribute__((format(printf, 3, 0)))
log_append(char *line, size_t *len, const char *fmt, va_list ap)
{
	int n = vsnprintf(line + *len, LINE_MAX_BYTES - *len, fmt, ap);

	if (n < 0)
		return;
	*len += (size_t)n;
	if (*len > LINE_MAX_BYTES - 1)
		*len = LINE_MAX_BYTES - 1;
}

static void __attribute__((format(printf, 3, 4)))
log_appendf(char *line, size_t *len, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_append(line, len, fmt, ap);
	va_end(ap);
}

static void
log_head(char *line, size_t *len, enum log_level level)
{
	static const int priority[] = { 3, 4, 6, 7 };
	char now[CLOCK_RFC3339_SIZE];

	if (logger.journal) {
		log_appendf(line, len, "<%d>", priority[level]);
	} else {
		clock_rfc3339(now, clock_unix_ms());
		log_appendf(line, len, "ts=%s ", now);
	}
	log_appendf(line, len, "level=%s role=%s", level_names[level],
	    logger.role);
	if (logger.slot >= 0)
		log_appendf(line, len, " slot=%d", logger.slot);
}

void
log_write(enum log_level level, const char *msg, const char *fmt, ...)
{
	char line[LINE_MAX_BYTES + 1];
	size_t len = 0;
	ssize_t n;
	va_list ap;
	int saved = errno;

	if (level > logger.level)
		return;
	log_head(line, &len, level);
	log_appendf(line, &len, " msg=\"%s\"", msg);
	if (fmt != NULL) {
		log_appendf(line, &len, " ");
		va_start(ap, fmt);
		errno = saved;
		log_append(line, &len, fmt, ap);
		va_end(ap);
	}
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	}
	line[len++] = '\n';
	/* Nothing can be done about a log that cannot be written. */
	n = write(STDERR_FILENO, line, len);
	(void)n;
	errno = saved;
}

void
log_complain(const char *text)
{
	(void)fprintf(stderr, "%schatapi: %s\n", logger.journal ? "<3>" : "",
	    text);
}

/* Whether the n bytes of a character may stand in a line as they are. */
static bool
log_printable(const unsigned char *p, size_t n)
{
	if (n == 1)
		return p[0] >= 0x20 && p[0] != 0x7f;
	/* U+0080..U+009F are control characters, too. */
	return n > 1 && (p[0] != 0xc2 || p[1] >= 0xa0);
}

const char *
log_quote(char *out, size_t size, const char *s, size_t len)
{
	size_t at = 0, n;

	if (size < 3)
		return "\"\"";
	out[at++] = '"';
	while (len > 0) {
		n = utf8_sequence(s, len);
		/* Room for the character, a backslash, the quote, the NUL. */
		if (at + (n == 0 ? 1 : n) + 3 > size)
			break;
		if (!log_printable((const unsigned char *)s, n)) {
			out[at++] = '?';
		} else {
			if (*s == '"' || *s == '\\')
				out[at++] = '\\';
			memcpy(out + at, s, n);
			at += n;
		}
		n = n == 0 ? 1 : n;
		s += n;
		len -= n;
	}
	out[at++] = '"';
	out[at] = '\0';
	return out;
}
