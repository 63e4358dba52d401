/* SPDX-License-Identifier: MIT */
/* See forwarded.h.  Runs in a worker; no I/O, no state. */
#include "forwarded.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "guard.h"

bool
forwarded_trusted(const struct addr_nets *proxies, const char *peer,
    bool unix_socket)
{
	struct addr a;

	if (unix_socket)
		return proxies->unix_socket;
	return proxies->n > 0 && addr_parse(&a, peer, strlen(peer)) == 0 &&
	    addr_nets_has(proxies, &a);
}

/* Goes through one line from the right.  True when the search is over. */
static bool
search_line(const struct addr_nets *proxies, const char *value, struct addr *a,
    bool *found)
{
	size_t end = strlen(value);

	for (;;) {
		size_t from = end, to = end;
		struct addr one;

		while (from > 0 && value[from - 1] != ',')
			from--;
		while (to > from && strchr(" \t", value[to - 1]) != NULL)
			to--;
		end = from;
		from += strspn(value + from, " \t");
		if (to <= from ||
		    addr_parse(&one, value + from, to - from) == -1)
			return true;
		*a = one;
		*found = true;
		if (!addr_nets_has(proxies, &one))
			return true;
		if (end == 0)
			return false;
		end--; /* the comma */
	}
}

void
forwarded_for(const struct addr_nets *proxies,
    const struct guard_header *headers, size_t n, const char *peer,
    char out[ADDR_TEXT])
{
	struct addr a;
	bool found = false;

	for (size_t i = n; i > 0; i--)
		if (strcasecmp(headers[i - 1].name, "X-Forwarded-For") == 0 &&
		    search_line(proxies, headers[i - 1].value, &a, &found))
			break;
	if (found)
		addr_text(&a, out);
	else
		(void)snprintf(out, ADDR_TEXT, "%s", peer);
}

const char *
forwarded_one(const struct guard_header *headers, size_t n, const char *name)
{
	const char *value = NULL;

	for (size_t i = 0; i < n; i++) {
		if (strcasecmp(headers[i].name, name) != 0)
			continue;
		if (value != NULL)
			return NULL;
		value = headers[i].value;
	}
	return value == NULL || *value == '\0' || strchr(value, ',') != NULL ?
	    NULL :
	    value;
}
