/* SPDX-License-Identifier: MIT */
/* Durations as Go's time.ParseDuration writes them.  Pure. */
#ifndef COMMON_DURATION_H
#define COMMON_DURATION_H

#include <stddef.h>
#include <stdint.h>

/*
 * "300ms", "1.5h", "2h45m", "0"; units ns us µs ms s m h.  Not negative.
 * Result in milliseconds, rounded up.  -1 when it is none or overflows.
 */
int duration_parse(const char *s, uint64_t *ms)
    __attribute__((warn_unused_result));
/* "1m30s", "250ms": shortest form of whole milliseconds. */
void duration_format(char *out, size_t size, uint64_t ms);

#endif
