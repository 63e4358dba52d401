/* SPDX-License-Identifier: MIT */
/* See trouble.h: a table of fixed size, in which a tenant takes the place of
 * another whose number ends alike.  Runs in the courier. */
#include "trouble.h"

#include <stdbool.h>
#include <stdlib.h>

#include "../common/mem.h"

#define TROUBLES_MAX 4096

struct tenant_trouble {
	uint64_t tenant;
	bool failing; /* the last try */
	uint64_t untold[TROUBLE_KINDS];
	uint64_t told_ms[TROUBLE_KINDS]; /* 0 = never */
};

struct troubles {
	struct tenant_trouble of[TROUBLES_MAX];
};

struct troubles *
troubles_new(void)
{
	return mem_alloc(sizeof(struct troubles));
}

void
troubles_free(struct troubles *ts)
{
	free(ts);
}

uint64_t
troubles_note(struct troubles *ts, uint64_t tenant, enum trouble what,
    uint64_t now_ms)
{
	struct tenant_trouble *t = &ts->of[tenant % TROUBLES_MAX];
	uint64_t n;

	if (t->tenant != tenant)
		*t = (struct tenant_trouble){ .tenant = tenant };
	if (what == TROUBLE_OVER && !t->failing)
		return 0;
	t->failing = what != TROUBLE_OVER;
	n = ++t->untold[what];
	if (t->told_ms[what] != 0 &&
	    now_ms - t->told_ms[what] < TROUBLE_EVERY_MS)
		return 0;
	t->told_ms[what] = now_ms;
	t->untold[what] = 0;
	return n;
}
