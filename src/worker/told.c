/* SPDX-License-Identifier: MIT */
/*
 * The set of a connection's told users: an open hash, up to four fifths
 * full, that gives memory back.  Runs in a worker; knows no user.
 */
#include "told.h"

#include <stdlib.h>

#include "../common/mem.h"

#define TOLD_SIZE_MIN 8

static uint32_t
told_home(const struct told *t, uint32_t id)
{
	return (uint32_t)((id * UINT64_C(0x9e3779b97f4a7c15)) >> 32) &
	    (t->size - 1);
}

/* Where it is, or the free place where it would go. */
static uint32_t
told_find(const struct told *t, uint32_t id)
{
	uint32_t i = told_home(t, id);

	while (t->slot[i] != 0 && t->slot[i] != id)
		i = (i + 1) & (t->size - 1);
	return i;
}

static void
told_resize(struct told *t, uint32_t size)
{
	struct told old = *t;

	t->size = size;
	t->slot = mem_alloc(size * sizeof(*t->slot));
	for (uint32_t i = 0; i < old.size; i++)
		if (old.slot[i] != 0)
			t->slot[told_find(t, old.slot[i])] = old.slot[i];
	free(old.slot);
}

bool
told_has(const struct told *t, uint32_t id)
{
	return t->size != 0 && t->slot[told_find(t, id)] == id;
}

void
told_add(struct told *t, uint32_t id)
{
	if (told_has(t, id))
		return;
	if ((uint64_t)(t->count + 1) * 5 > (uint64_t)t->size * 4)
		told_resize(t, t->size == 0 ? TOLD_SIZE_MIN : t->size * 2);
	t->slot[told_find(t, id)] = id;
	t->count++;
}

void
told_del(struct told *t, uint32_t id)
{
	uint32_t wrap = t->size - 1, i;

	if (!told_has(t, id))
		return;
	i = told_find(t, id);
	/* Closes the gap, so that look-ups need no tombstones. */
	for (uint32_t j = (i + 1) & wrap; t->slot[j] != 0; j = (j + 1) & wrap) {
		uint32_t home = told_home(t, t->slot[j]);

		/* Stays when its home lies in (i, j], seen as a circle. */
		if (((j - home) & wrap) < ((j - i) & wrap))
			continue;
		t->slot[i] = t->slot[j];
		i = j;
	}
	t->slot[i] = 0;
	t->count--;
	if (t->count == 0)
		told_free(t);
	else if (t->size > TOLD_SIZE_MIN && t->count < t->size / 8)
		told_resize(t, t->size / 2);
}

void
told_free(struct told *t)
{
	free(t->slot);
	*t = (struct told){ 0 };
}
