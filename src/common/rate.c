/* SPDX-License-Identifier: MIT */
/*
 * The generic cell rate algorithm.  A cell holds the theoretical arrival
 * time, in monotonic nanoseconds: when the tenant's burst would be whole
 * again if nothing more came.  All workers share the cell without a lock; a
 * refused request leaves it as it was.
 */
#include "rate.h"

#define NS_PER_S UINT64_C(1000000000)

struct rate_result
rate_take(_Atomic uint64_t *cell, uint32_t limit, uint64_t now_ns)
{
	struct rate_result res = { .allowed = true, .limit = limit };
	uint64_t step, burst, stored, busy;

	if (limit == 0)
		return res;
	step = NS_PER_S / limit;
	if (step == 0)
		step = 1;
	burst = step * limit;
	stored = atomic_load_explicit(cell, memory_order_relaxed);
	do {
		/* Taking never fills a cell by more than a burst.  A time far
		 * beyond that can only be rubbish, and must not shut a tenant
		 * out for good. */
		busy = stored > now_ns ? stored - now_ns : 0;
		if (busy > 2 * NS_PER_S + burst)
			busy = 0;
		if (busy + step > burst) {
			res.allowed = false;
			res.full_in_ns = busy;
			res.retry_in_ns = busy + step - burst;
			return res;
		}
	} while (!atomic_compare_exchange_weak_explicit(cell, &stored,
	    now_ns + busy + step, memory_order_relaxed, memory_order_relaxed));
	res.full_in_ns = busy + step;
	res.remaining = (uint32_t)((burst - res.full_in_ns) / step);
	return res;
}
