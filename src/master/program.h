/* SPDX-License-Identifier: MIT */
/*
 * Which file a program is.  Children are started from the one on disk as long
 * as it is the one that is known good; when it has been replaced and no reload
 * has tried it yet, from the one that the master itself runs.
 */
#ifndef MASTER_PROGRAM_H
#define MASTER_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

struct program {
	uint64_t dev, ino; /* ino 0 = there is no such file */
	int64_t size;
	int64_t mtime_ns;
};

/* What is at that path now. */
void program_look(struct program *p, const char *path);
bool program_same(const struct program *a, const struct program *b);
/* exe if it is still the file p, else the master's own. */
const char *program_known(const struct program *p, const char *exe);

#endif
