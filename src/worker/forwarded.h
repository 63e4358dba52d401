/* SPDX-License-Identifier: MIT */
/*
 * What a reverse proxy says about its client: X-Forwarded-For, -Proto and
 * -Host.  Believed only from TRUSTED_PROXIES.  Pure.
 */
#ifndef WORKER_FORWARDED_H
#define WORKER_FORWARDED_H

#include <stdbool.h>
#include <stddef.h>

#include "../common/addr_nets.h"

struct guard_header;

/* A request's other end: an address as text, or a Unix-domain socket. */
bool forwarded_trusted(const struct addr_nets *proxies, const char *peer,
    bool unix_socket);

/*
 * For a request of a trusted proxy.  The client is the right-most address of
 * X-Forwarded-For, over all its lines, that is no trusted proxy; the peer
 * itself if there is none or what stands there is no address.
 */
void forwarded_for(const struct addr_nets *proxies,
    const struct guard_header *headers, size_t n, const char *peer,
    char out[ADDR_TEXT]);
/* The one value of X-Forwarded-Proto or -Host; NULL when absent or several. */
const char *forwarded_one(const struct guard_header *headers, size_t n,
    const char *name);

#endif
