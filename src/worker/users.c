/* SPDX-License-Identifier: MIT */
/*
 * The table of users with sockets on this worker: chained hash that doubles
 * when full.  Runs in a worker; holds no policy.
 */
#include "users.h"

#include <stdlib.h>
#include <string.h>

#include "../common/ids.h"
#include "../common/mem.h"

struct users {
	struct user **slot;
	size_t size;
	size_t count;
};

struct users *
users_new(void)
{
	struct users *u = mem_alloc(sizeof(*u));

	u->size = 256;
	u->slot = mem_alloc(u->size * sizeof(struct user *));
	return u;
}

void
users_free(struct users *u)
{
	if (u == NULL)
		return;
	for (size_t i = 0; i < u->size; i++) {
		while (u->slot[i] != NULL) {
			struct user *user = u->slot[i];

			u->slot[i] = user->next;
			free(user);
		}
	}
	free(u->slot);
	free(u);
}

static struct user **
users_slot(struct users *u, uint64_t tenant, const char *name, size_t len)
{
	return &u->slot[id_user_key(tenant, name, len) & (u->size - 1)];
}

struct user *
users_find(struct users *u, uint64_t tenant, const char *name, size_t len)
{
	struct user *user = *users_slot(u, tenant, name, len);

	while (user != NULL &&
	    (user->tenant != tenant || user->len != len ||
		memcmp(user->name, name, len) != 0))
		user = user->next;
	return user;
}

static void
users_grow(struct users *u)
{
	struct user **old = u->slot;
	size_t size = u->size;

	u->size *= 2;
	u->slot = mem_alloc(u->size * sizeof(struct user *));
	for (size_t i = 0; i < size; i++) {
		while (old[i] != NULL) {
			struct user *user = old[i];
			struct user **to;

			old[i] = user->next;
			to = users_slot(u, user->tenant, user->name, user->len);
			user->next = *to;
			*to = user;
		}
	}
	free(old);
}

struct user *
users_get(struct users *u, uint64_t tenant, const char *name, size_t len)
{
	struct user *user = users_find(u, tenant, name, len);
	struct user **slot;

	if (user != NULL)
		return user;
	if (u->count >= u->size)
		users_grow(u);
	user = mem_alloc(sizeof(*user) + len + 1);
	user->tenant = tenant;
	user->len = (uint8_t)len;
	memcpy(user->name, name, len);
	LIST_INIT(&user->conns);
	slot = users_slot(u, tenant, name, len);
	user->next = *slot;
	*slot = user;
	u->count++;
	return user;
}

void
users_release(struct users *u, struct user *user)
{
	struct user **at;

	if (!LIST_EMPTY(&user->conns))
		return;
	at = users_slot(u, user->tenant, user->name, user->len);
	while (*at != user)
		at = &(*at)->next;
	*at = user->next;
	u->count--;
	free(user);
}
