/* SPDX-License-Identifier: MIT */
/* See addr_public.h; the networks are those of the IANA's special-purpose
 * registries (RFC 6890).  Pure; every process may use it. */
#include "addr_public.h"

#include <stddef.h>
#include <string.h>

struct net {
	uint8_t prefix[16];
	uint8_t bits;
};

static const struct net nets4[] = {
	{ { 0 }, 8 },          /* this network */
	{ { 10 }, 8 },         /* private */
	{ { 100, 64 }, 10 },   /* shared, behind carriers' NAT */
	{ { 127 }, 8 },        /* loopback */
	{ { 169, 254 }, 16 },  /* link-local */
	{ { 172, 16 }, 12 },   /* private */
	{ { 192, 0, 0 }, 24 }, /* protocol assignments */
	{ { 192, 168 }, 16 },  /* private */
	{ { 198, 18 }, 15 },   /* benchmarks of networks */
	{ { 224 }, 4 },        /* multicast */
	{ { 240 }, 4 },        /* reserved, broadcast */
};

static const struct net nets6[] = {
	{ { 0x00, 0x64, 0xff, 0x9b, 0x00, 0x01 }, 48 }, /* local NAT64 */
	{ { 0x01, 0x00 }, 64 },                         /* discard */
	{ { 0x20, 0x01, 0x00, 0x00 }, 32 },             /* Teredo */
	{ { 0xfc }, 7 },                                /* unique local */
	{ { 0xfe, 0x80 }, 10 },                         /* link-local */
	{ { 0xfe, 0xc0 }, 10 },                         /* site-local, old */
	{ { 0xff }, 8 },                                /* multicast */
};

/* Those that hold an IPv4 address, `bits` / 8 bytes into them. */
static const struct net holds4[] = {
	{ { 0 }, 96 }, /* compatible (old), loopback, unspecified */
	{ { [10] = 0xff, [11] = 0xff }, 96 }, /* mapped */
	{ { 0x00, 0x64, 0xff, 0x9b }, 96 },   /* NAT64 */
	{ { [8] = 0xff, [9] = 0xff }, 96 },   /* translated */
	{ { 0x20, 0x02 }, 16 },               /* 6to4 */
};

static bool
net_has(const struct net *n, const uint8_t *a)
{
	size_t bytes = n->bits / 8;
	uint8_t mask = (uint8_t)(0xff00 >> n->bits % 8);

	return memcmp(a, n->prefix, bytes) == 0 &&
	    (n->bits % 8 == 0 || ((a[bytes] ^ n->prefix[bytes]) & mask) == 0);
}

bool
addr_public4(const uint8_t a[4])
{
	for (size_t i = 0; i < sizeof(nets4) / sizeof(nets4[0]); i++)
		if (net_has(&nets4[i], a))
			return false;
	return true;
}

bool
addr_public6(const uint8_t a[16])
{
	for (size_t i = 0; i < sizeof(nets6) / sizeof(nets6[0]); i++)
		if (net_has(&nets6[i], a))
			return false;
	for (size_t i = 0; i < sizeof(holds4) / sizeof(holds4[0]); i++)
		if (net_has(&holds4[i], a))
			return addr_public4(a + holds4[i].bits / 8);
	return true;
}
