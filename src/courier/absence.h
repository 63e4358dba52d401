/* SPDX-License-Identifier: MIT */
/* Which members of a room are to hear of a message by webhook.  Pure. */
#ifndef COURIER_ABSENCE_H
#define COURIER_ABSENCE_H

#include <stdint.h>

#include "../common/records_courier.h"

/*
 * Of the n users asked about (rec_absence_ok's numbers in `states`) puts
 * those who are to get a delivery into to[] and their waits into wait_ms[]:
 * who is offline at once, who is in the presence grace when that is over,
 * who is online never.  Returns how many.
 */
uint32_t absence_choose(const struct str *users, const uint32_t *states,
    uint32_t n, struct str *to, uint32_t *wait_ms);

#endif
