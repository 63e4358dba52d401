/* SPDX-License-Identifier: MIT */
/*
 * Which addresses a request on a tenant's behalf may go to.  Refused are
 * loopback, private, link-local, multicast, unspecified and reserved ones,
 * and IPv6 addresses that stand for such an IPv4 one.  Pure.
 */
#ifndef COMMON_ADDR_PUBLIC_H
#define COMMON_ADDR_PUBLIC_H

#include <stdbool.h>
#include <stdint.h>

/* In network byte order. */
bool addr_public4(const uint8_t a[4]);
bool addr_public6(const uint8_t a[16]);

#endif
