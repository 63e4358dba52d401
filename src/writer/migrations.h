/* SPDX-License-Identifier: MIT */
/*
 * The schema's steps, embedded from sql/ at build time.  Only who opens the
 * database read-write (writer, operator's command under the lock) runs them.
 */
#ifndef WRITER_MIGRATIONS_H
#define WRITER_MIGRATIONS_H

struct migration {
	unsigned version; /* user_version after it; rises by one from 1 */
	const char *name; /* file name without ".sql" */
	const char *sql;  /* statements, run in one transaction */
};

extern const struct migration migrations[];
extern const unsigned migrations_count;

#endif
