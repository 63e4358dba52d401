/* SPDX-License-Identifier: MIT */
/* What the files of chatapi check share. */
#ifndef TOOL_TOOL_CHECK_H
#define TOOL_TOOL_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "tool_int.h"

struct json_object;
struct sqlite3;
struct sqlite3_stmt;

struct check {
	struct tool *t;
	struct sqlite3 *db;
	bool live;           /* others write: only short transactions */
	uint64_t piece_ms;   /* when the one under way began; 0 = none is */
	uint64_t longest_ms; /* of all pieces */
	uint64_t faults;
	uint64_t rooms;
	uint64_t messages;
	uint64_t members;
	uint64_t waiting; /* rows of what waits for somebody */
	bool failed; /* something could not be looked at, stderr says what */
	bool keep;   /* nothing is printed */
	struct json_object *list;  /* --json or keep: the faults */
	struct json_object *notes; /* what was not looked at */
	struct progress progress;
};

/* One line about what is wrong. */
void check_fault(struct check *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* One line about what was not looked at. */
void check_note(struct check *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* A statement; NULL when it fails (stderr). */
struct sqlite3_stmt *check_prepare(struct check *c, const char *sql);
/*
 * One step: 1 a row, 0 done, -1 failed, -2 a piece took too long; resets but
 * after a row.  Failures other than that go to stderr.
 */
int check_step(struct check *c, struct sqlite3_stmt *st);
/* A piece: one read transaction, of one snapshot. */
int check_begin(struct check *c);
void check_end(struct check *c);

/* ---- tool_check_rooms.c ---- */
/* All rooms, their members and messages, and what belongs to no room.  -1
 * failed or interrupted. */
int check_rooms(struct check *c);

/* ---- tool_check_waiting.c ---- */
/* Subscriptions, notifications, webhooks, and what is to go.  -1 failed or
 * interrupted. */
int check_waiting(struct check *c);

#endif
