/* SPDX-License-Identifier: MIT */
/* The schedule of retries.  Runs in the courier; knows no clock and makes
 * no randomness of its own, so that a test can say both. */
#include "retry.h"

uint64_t
retry_wait_ms(uint64_t interval_ms, unsigned n, uint32_t random,
    uint64_t retry_after_s)
{
	uint64_t most = interval_ms, wait;

	if (most == 0)
		most = 1;
	for (unsigned i = 1; i < n && most < RETRY_WAIT_MAX_MS; i++)
		most *= 2;
	if (most > RETRY_WAIT_MAX_MS)
		most = RETRY_WAIT_MAX_MS;
	/* Both factors have less than 32 bits. */
	wait = 1 + ((most * random) >> 32);
	if (retry_after_s > RETRY_WAIT_MAX_MS / 1000)
		retry_after_s = RETRY_WAIT_MAX_MS / 1000;
	return wait < retry_after_s * 1000 ? retry_after_s * 1000 : wait;
}
