/* SPDX-License-Identifier: MIT */
/* See addr_nets.h.  Pure; every process may use it. */
#include "addr_nets.h"

#include <arpa/inet.h>
#include <string.h>

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

/* A bare address, NUL-terminated. */
static int
parse_bare(struct addr *a, const char *text)
{
	if (inet_pton(AF_INET6, text, a->b) == 1)
		return 0;
	memcpy(a->b, mapped, sizeof(mapped));
	return inet_pton(AF_INET, text, a->b + sizeof(mapped)) == 1 ? 0 : -1;
}

int
addr_parse(struct addr *a, const char *text, size_t len)
{
	char bare[64], *end;

	if (len == 0 || len >= sizeof(bare))
		return -1;
	memcpy(bare, text, len);
	bare[len] = '\0';
	if (bare[0] == '[') {
		if ((end = strchr(bare, ']')) == NULL ||
		    (end[1] != '\0' && end[1] != ':'))
			return -1;
		*end = '\0';
		return parse_bare(a, bare + 1);
	}
	if (strchr(bare, '.') != NULL && strspn(bare, "0123456789.") < len &&
	    (end = strrchr(bare, ':')) != NULL && strchr(bare, ':') == end)
		*end = '\0';
	return parse_bare(a, bare);
}

const char *
addr_text(const struct addr *a, char out[ADDR_TEXT])
{
	bool v4 = memcmp(a->b, mapped, sizeof(mapped)) == 0;

	if (inet_ntop(v4 ? AF_INET : AF_INET6, a->b + (v4 ? sizeof(mapped) : 0),
		out, ADDR_TEXT) == NULL)
		out[0] = '\0';
	return out;
}

/* "address", "address/bits". */
static int
parse_net(struct addr_net *n, const char *text, size_t len)
{
	char bare[64], *slash;
	unsigned most, bits = 0;

	if (len == 0 || len >= sizeof(bare))
		return -1;
	memcpy(bare, text, len);
	bare[len] = '\0';
	slash = strchr(bare, '/');
	if (slash != NULL)
		*slash = '\0';
	if (parse_bare(&n->addr, bare) == -1)
		return -1;
	most = strchr(bare, ':') != NULL ? 128 : 32;
	if (slash == NULL)
		bits = most;
	else if (slash[1] == '\0')
		return -1;
	for (const char *p = slash; p != NULL && *++p != '\0';) {
		if (*p < '0' || *p > '9' || bits > most)
			return -1;
		bits = bits * 10 + (unsigned)(*p - '0');
	}
	if (bits > most)
		return -1;
	n->bits = (uint8_t)(bits + 128 - most);
	return 0;
}

int
addr_nets_parse(struct addr_nets *l, const char *list)
{
	memset(l, 0, sizeof(*l));
	while (list != NULL) {
		const char *p = list + strspn(list, " \t");
		size_t len = strcspn(p, ",");

		list = p[len] == ',' ? p + len + 1 : NULL;
		while (len > 0 && (p[len - 1] == ' ' || p[len - 1] == '\t'))
			len--;
		if (len == 4 && memcmp(p, "unix", 4) == 0) {
			l->unix_socket = true;
			continue;
		}
		if (l->n == ADDR_NETS_MAX ||
		    parse_net(&l->nets[l->n], p, len) == -1)
			return -1;
		l->n++;
	}
	return 0;
}

bool
addr_nets_has(const struct addr_nets *l, const struct addr *a)
{
	for (unsigned i = 0; i < l->n; i++) {
		const struct addr_net *n = &l->nets[i];
		size_t bytes = n->bits / 8;
		uint8_t mask = (uint8_t)(0xff00 >> n->bits % 8);

		if (memcmp(a->b, n->addr.b, bytes) == 0 &&
		    (n->bits % 8 == 0 ||
			((a->b[bytes] ^ n->addr.b[bytes]) & mask) == 0))
			return true;
	}
	return false;
}
