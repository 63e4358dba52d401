/* SPDX-License-Identifier: MIT */
/* Tells a file from the one that has replaced it.  Runs in the master. */
#include "program.h"

#include <string.h>
#include <sys/stat.h>

/* In a child between fork and exec it still leads to the master's program,
 * also when that has no name any more. */
#define PROGRAM_OWN "/proc/self/exe"

void
program_look(struct program *p, const char *path)
{
	struct stat st;

	memset(p, 0, sizeof(*p));
	if (path == NULL || stat(path, &st) == -1)
		return;
	p->dev = st.st_dev;
	p->ino = st.st_ino;
	p->size = st.st_size;
	p->mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 +
	    st.st_mtim.tv_nsec;
}

bool
program_same(const struct program *a, const struct program *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	    a->mtime_ns == b->mtime_ns;
}

const char *
program_known(const struct program *p, const char *exe)
{
	struct program now;

	program_look(&now, exe);
	return now.ino != 0 && program_same(p, &now) ? exe : PROGRAM_OWN;
}
