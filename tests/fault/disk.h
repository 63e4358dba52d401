/* SPDX-License-Identifier: MIT */
/*
 * What the parts of preload_disk.so share: the journal's entries and the
 * page by which a test orders faults.  Loaded into the program's writer by
 * the end-to-end tests; no part of the program.
 */
#ifndef FAULT_DISK_H
#define FAULT_DISK_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Kinds of files, by their names; one bit each. */
#define DISK_DB 1
#define DISK_WAL 2
#define DISK_ROLLBACK 4 /* the journal of a database not yet in WAL mode */
#define DISK_SHM 8
#define DISK_DIR 16
#define DISK_OTHER 32 /* begins with the database's name */

/* The same numbers stand in tests/e2e/powercut.py. */
enum journal_type {
	JOURNAL_START = 1, /* a process begins; extra = its pid */
	JOURNAL_NAME,      /* a file that was there at START */
	JOURNAL_SNAP,      /* a piece of its content */
	JOURNAL_SNAPPED,   /* off = its size */
	JOURNAL_CREATE,
	JOURNAL_WRITE,
	JOURNAL_TRUNCATE, /* off = the size from now on */
	JOURNAL_UNLINK,
	JOURNAL_RENAME, /* old name, NUL, new name */
	JOURNAL_SYNC,   /* begins; extra = its number */
	JOURNAL_SYNCED, /* ended; off = 0 or errno */
	JOURNAL_TOLD,   /* about to go out on a socket */
};

struct journal_head {
	uint32_t magic;
	uint32_t type;
	uint64_t ns; /* CLOCK_MONOTONIC */
	uint64_t ino;
	int64_t off;
	uint64_t extra;
	uint64_t len; /* of the data that follow */
};

#define JOURNAL_MAGIC 0x316a6443U

/* In the place of an errno: the process is killed before the call. */
#define DISK_KILL 4096

/* Shared with the test, which changes it while the program runs. */
struct disk_orders {
	_Atomic int32_t write_error; /* errno of writes; 0 = as usual */
	_Atomic int32_t sync_error;
	_Atomic int32_t open_error; /* of opening for writing */
	_Atomic int32_t files;      /* the kinds that these are about */
	_Atomic int32_t growing;    /* only writes past the file's end fail */
	_Atomic int32_t times;      /* so many fail, then none; -1 = all */
	_Atomic int32_t swallow;    /* syncs do nothing and say they did */
	_Atomic int32_t after;      /* so many go through before */
	_Atomic int32_t hits;       /* calls that failed so */
};

/* Opens the journal that FAULT_JOURNAL names, if it does. */
void journal_open(void);
/* Append one entry: a number, data, or data in pieces as writev takes them.
 * They keep errno and are safe in any thread. */
void journal_mark(enum journal_type type, uint64_t ino, int64_t off,
    uint64_t extra);
void journal_data(enum journal_type type, uint64_t ino, int64_t off,
    const void *data, size_t len);
struct iovec;
void journal_pieces(enum journal_type type, const struct iovec *iov, size_t n);
/* Adds a file as it is: JOURNAL_NAME, its pieces, JOURNAL_SNAPPED. */
void journal_snapshot(const char *path, const char *name);

#endif
