/* SPDX-License-Identifier: MIT */
/* The users who have a WebSocket on this worker, and their connections. */
#ifndef WORKER_USERS_H
#define WORKER_USERS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct users;
struct ws_conn;

LIST_HEAD(user_conns, ws_conn);

struct user {
	struct user *next; /* hash chain */
	uint64_t tenant;
	struct user_conns conns;
	uint8_t len;
	char name[]; /* len bytes and a NUL */
};

struct users *users_new(void);
void users_free(struct users *u);
/* NULL when he has no connection here. */
struct user *users_find(struct users *u, uint64_t tenant, const char *name,
    size_t len);
/* Finds or makes him; len 1 to 128. */
struct user *users_get(struct users *u, uint64_t tenant, const char *name,
    size_t len);
/* Frees him when he has no connection left. */
void users_release(struct users *u, struct user *user);

#endif
