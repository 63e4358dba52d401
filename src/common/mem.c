/* SPDX-License-Identifier: MIT */
/* Allocations that abort on failure.  Every process uses them. */
#include "mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *
mem_check(void *p)
{
	if (p == NULL) {
		fputs("out of memory\n", stderr);
		abort();
	}
	return p;
}

void *
mem_alloc(size_t size)
{
	return mem_check(calloc(1, size == 0 ? 1 : size));
}

void *
mem_realloc(void *p, size_t size)
{
	return mem_check(realloc(p, size == 0 ? 1 : size));
}

char *
mem_strndup(const char *s, size_t len)
{
	char *p = mem_check(malloc(len + 1));

	if (len > 0)
		memcpy(p, s, len);
	p[len] = '\0';
	return p;
}

char *
mem_strdup(const char *s)
{
	return mem_strndup(s, strlen(s));
}
