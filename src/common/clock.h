/* SPDX-License-Identifier: MIT */
/* The clocks.  CLOCK_MONOTONIC is one clock for all processes of a host. */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stddef.h>
#include <stdint.h>

uint64_t clock_mono_ms(void);
uint64_t clock_mono_ns(void);
/*
 * Unix time in milliseconds; may jump.  Tests move it through the variable
 * CHATAPI_TEST_CLOCK_FILE, which names a file holding an offset in
 * milliseconds; unset in production.
 */
int64_t clock_unix_ms(void);
/* "2026-11-22T18:35:16.123Z"; out has at least 25 bytes. */
#define CLOCK_RFC3339_SIZE 25
void clock_rfc3339(char out[CLOCK_RFC3339_SIZE], int64_t unix_ms);

#endif
