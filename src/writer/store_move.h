/* SPDX-License-Identifier: MIT */
/*
 * Moving a tenant: an export is a database of the same schema that holds one
 * tenant, with a row more that says so and holds his secrets, encrypted by
 * whoever exports.
 */
#ifndef WRITER_STORE_MOVE_H
#define WRITER_STORE_MOVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../common/ids.h"
#include "../common/records.h"

struct store;

/* application_id of an export: "chex". */
#define STORE_EXPORT_ID 0x63686578
#define STORE_EXPORT_VERSION 1
#define STORE_EXPORT_SALT 16
/* Longest secret with what encrypting it adds. */
#define STORE_EXPORT_BOX_MAX 1024
#define STORE_MOVE_ERR_SIZE 512

/* A secret as it rests in a row. */
struct move_box {
	size_t len; /* 0 = none */
	uint8_t p[STORE_EXPORT_BOX_MAX];
};

struct store_move {
	char tenant[ID_TOKEN_SIZE]; /* his public token */
	char name[256 + 1];         /* cut, for people */
	/* In a database: sealed; in an export: encrypted under a passphrase,
	 * by Argon2id with this salt and these limits. */
	struct move_box webhook_secret;
	struct move_box jwt_secret; /* HS256 only */
	uint8_t salt[STORE_EXPORT_SALT];
	uint64_t ops;
	uint64_t mem;
	uint64_t rooms;
	uint64_t messages;
	/* Called now and then; true stops it.  May be NULL. */
	bool (*progress)(void *arg, uint64_t done, uint64_t all);
	void *arg;
};

/*
 * The secrets of m->tenant as they rest in this database file, and his name.
 * 0, or -1 with a sentence in err (STORE_MOVE_ERR_SIZE): there is no such
 * tenant, or another schema.
 */
int store_export_look(const char *path, struct store_move *m, char *err);
/*
 * Writes the tenant into the new, empty file `to`, with the secrets, salt and
 * limits of m; without a secret what needs it is cleared.  The source is a
 * copy that nobody uses.  Does not sync.  0, or -1 with err.
 */
int store_export(const char *from, const char *to, struct store_move *m,
    char *err);

/* What an export says of itself.  0, or -1 with err: it is none, or of
 * another version. */
int store_import_look(const char *path, struct store_move *m, char *err);
/* Opens it beside the store, for store_import().  0, or -1 with err. */
int store_import_open(struct store *s, const char *path, char *err);
/*
 * Brings what was opened into the store, all or nothing, with the secrets of
 * m, sealed, and closes it.
 * Refuses when the tenant or one of his rooms or keys is there.
 */
int store_import(struct store *s, struct store_move *m, char *err);

#endif
