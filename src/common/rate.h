/* SPDX-License-Identifier: MIT */
/*
 * A tenant's rate limit over all processes: the generic cell rate algorithm
 * (ITU-T I.371) on one 64-bit word of the shared page, changed by
 * compare-and-swap.  Pure but for that word; the time is an argument.
 */
#ifndef COMMON_RATE_H
#define COMMON_RATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct rate_result {
	bool allowed;
	uint32_t limit;       /* requests a second; 0 = none */
	uint32_t remaining;   /* how many more would be allowed right now */
	uint64_t full_in_ns;  /* until the burst is whole again */
	uint64_t retry_in_ns; /* 0 when allowed */
};

/*
 * Takes one request from the cell at now_ns (monotonic).  limit = requests a
 * second, burst the same number; 0 always allows and leaves the cell alone.
 */
struct rate_result rate_take(_Atomic uint64_t *cell, uint32_t limit,
    uint64_t now_ns);

#endif
