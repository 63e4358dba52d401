/* SPDX-License-Identifier: MIT */
/*
 * Of whom one connection has been told that they are online: a set of the
 * worker's small numbers for users.  50 of them take 256 bytes.  Pure.
 */
#ifndef WORKER_TOLD_H
#define WORKER_TOLD_H

#include <stdbool.h>
#include <stdint.h>

struct told {
	uint32_t *slot; /* 0 = free */
	uint32_t size;  /* 0 or a power of two */
	uint32_t count;
};

/* No number is 0. */
bool told_has(const struct told *t, uint32_t id);
/* Does nothing when it is there, or when it is not. */
void told_add(struct told *t, uint32_t id);
void told_del(struct told *t, uint32_t id);
/* Leaves an empty set. */
void told_free(struct told *t);

#endif
