/* SPDX-License-Identifier: MIT */
/*
 * Small fixed allocations that abort the process on failure (a child dies,
 * the master respawns it).  Sizes that come from the network are bounded by
 * the caller first.
 */
#ifndef COMMON_MEM_H
#define COMMON_MEM_H

#include <stddef.h>

/* Return zeroed or copied memory, never NULL; freed with free(). */
void *mem_alloc(size_t size);
void *mem_realloc(void *p, size_t size);
char *mem_strdup(const char *s);
/* Copies len bytes and adds a NUL. */
char *mem_strndup(const char *s, size_t len);

#endif
