/* SPDX-License-Identifier: MIT */
/* When a delivery that failed is tried again.  Pure. */
#ifndef COURIER_RETRY_H
#define COURIER_RETRY_H

#include <stdint.h>

/* Longest wait between two tries, and most that an endpoint's Retry-After is
 * heeded. */
#define RETRY_WAIT_MAX_MS (UINT64_C(3600) * 1000)

/*
 * Exponential backoff with full jitter: after the n-th failure (from 1) a
 * wait between 1 ms and interval_ms * 2^(n - 1), chosen by `random`, evenly
 * distributed over all its values; but no less than retry_after_s, what the
 * endpoint asked for (0 = nothing).
 */
uint64_t retry_wait_ms(uint64_t interval_ms, unsigned n, uint32_t random,
    uint64_t retry_after_s);

#endif
