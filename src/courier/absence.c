/* SPDX-License-Identifier: MIT */
/* See absence.h.  Runs in the courier. */
#include "absence.h"

/* The grace is over then for sure, and not a moment before. */
#define ABSENCE_SLACK_MS 20

uint32_t
absence_choose(const struct str *users, const uint32_t *states, uint32_t n,
    struct str *to, uint32_t *wait_ms)
{
	uint32_t chosen = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (states[i] == ABSENCE_ONLINE)
			continue;
		to[chosen] = users[i];
		wait_ms[chosen++] = states[i] == 0 ?
		    0 :
		    states[i] + ABSENCE_SLACK_MS;
	}
	return chosen;
}
