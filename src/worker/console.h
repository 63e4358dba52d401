/* SPDX-License-Identifier: MIT */
/*
 * The files of the web console, as a worker read them from CONSOLE_DIR when
 * it started.  Requests look them up by name and never touch the disk, so no
 * path of a client's leads anywhere else.
 */
#ifndef WORKER_CONSOLE_H
#define WORKER_CONSOLE_H

#include <stddef.h>

#include "../common/records.h"

struct console;

/* An entity tag with its quotes and a NUL. */
#define CONSOLE_ETAG_SIZE 35
/* The folder below the console's own that is served too. */
#define CONSOLE_CLIENT "client"

struct console_file {
	char *name; /* "index.html", "client/chat.js" */
	const char *type;
	char etag[CONSOLE_ETAG_SIZE]; /* a hash of the content */
	char *data;
	size_t len;
};

/*
 * Reads the files of dir and of its client/ whose names and types it knows:
 * at most 96 of them, 512 KiB each and 4 MiB in all; the log tells what was
 * left out.  NULL when dir cannot be read or has no index.html: errno says
 * why.
 */
struct console *console_load(const char *dir);
void console_free(struct console *c);
/* The file `name` of the folder ("" or CONSOLE_CLIENT), borrowed; NULL when
 * there is none, and when c is NULL. */
const struct console_file *console_find(const struct console *c,
    const char *folder, struct str name);

#endif
