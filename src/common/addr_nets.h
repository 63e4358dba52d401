/* SPDX-License-Identifier: MIT */
/*
 * A list of networks, as TRUSTED_PROXIES has it: addresses, address/bits and
 * the word `unix' for peers on a Unix-domain socket.  Pure.
 */
#ifndef COMMON_ADDR_NETS_H
#define COMMON_ADDR_NETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADDR_NETS_MAX 32

/* An IPv4 address is held as ::ffff:a.b.c.d. */
struct addr {
	uint8_t b[16];
};

struct addr_net {
	struct addr addr;
	uint8_t bits;
};

struct addr_nets {
	bool unix_socket;
	unsigned n;
	struct addr_net nets[ADDR_NETS_MAX];
};

/* Reads a comma-separated list; NULL = empty.  -1 when it is malformed or
 * has too many. */
int addr_nets_parse(struct addr_nets *l, const char *list)
    __attribute__((warn_unused_result));
bool addr_nets_has(const struct addr_nets *l, const struct addr *a);

/* An address as X-Forwarded-For has it: also [v6], v4:port and [v6]:port. */
int addr_parse(struct addr *a, const char *text, size_t len)
    __attribute__((warn_unused_result));
/* As text; returns out. */
#define ADDR_TEXT 46
const char *addr_text(const struct addr *a, char out[ADDR_TEXT]);

#endif
