/* SPDX-License-Identifier: MIT */
/* The database's name as go-sqlite users write it.  Pure. */
#ifndef COMMON_DSN_H
#define COMMON_DSN_H

#include <stddef.h>
#include <stdint.h>

/* Beside the file, of its name and this: the directory in which the writer
 * makes copies of the database. */
#define DSN_STAGING_SUFFIX "-staging"

struct dsn {
	char path[4096];          /* file name, never empty, never ":memory:" */
	uint32_t busy_timeout_ms; /* default 5000; at most 60000 */
};

/*
 * "file:PATH?_journal_mode=WAL&_busy_timeout=5000", "PATH?…" or "PATH".
 * Percent escapes are undone in the path of the file: form.  A parameter
 * that would weaken durability or sharing (_journal_mode other than WAL,
 * _sync/_synchronous below FULL, _locking_mode=EXCLUSIVE, mode=memory|ro,
 * immutable, cache=shared, nolock, vfs) is refused; a harmless or unknown
 * one is named in `warn`.  0, or -1 with a sentence in `err`.
 * `warn` is empty or one sentence.
 */
int dsn_parse(const char *s, struct dsn *out, char *err, size_t errsize,
    char *warn, size_t warnsize) __attribute__((warn_unused_result));

#endif
