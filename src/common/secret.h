/* SPDX-License-Identifier: MIT */
/*
 * Secrets of tenants at rest: sealed by XChaCha20-Poly1305 under keys that
 * are derived, one for each kind, from a key file outside the database.  The
 * writer seals and may make the file; workers and the courier only open, each
 * what is of its kind, and hold no other key.  The tenant and the kind are
 * bound in: a sealed text moved to another tenant's row or another column
 * does not open.
 *
 * Nothing here is ever logged but the name of the file and what is wrong
 * with it.
 */
#ifndef COMMON_SECRET_H
#define COMMON_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct secrets;

/* Part of what is sealed: numbers are fixed. */
enum secret_kind { SECRET_WEBHOOK = 1, SECRET_JWT_HS256 };

/* Longest secret, and how much longer it is sealed. */
#define SECRET_MAX 512
#define SECRET_OVERHEAD (1 + 24 + 16)
/* Of the key file's name, beside the database. */
#define SECRET_SUFFIX "-secrets"
/* The key file: raw bytes. */
#define SECRET_KEY_SIZE 32

/*
 * key_file as configured, NULL = "<database>-secrets" beside the database's
 * real file.  Reads nothing yet; the file is read at first need and kept.
 */
struct secrets *secret_new(const char *key_file, const char *database);
/*
 * The same for a process that only opens that kind, and tries to read the file
 * now, since it may not do so later.  No other key is kept, and so nothing
 * opens that was sealed before keys were derived.
 */
struct secrets *secret_new_only(const char *key_file, const char *database,
    enum secret_kind kind);
/* Wipes the keys. */
void secret_free(struct secrets *s);
/* Name of the key file; borrowed. */
const char *secret_path(const struct secrets *s);

enum secret_result {
	SECRET_OK,
	SECRET_NO_FILE,  /* there is none */
	SECRET_BAD_FILE, /* unreadable, open to others, wrong size */
	SECRET_FOREIGN   /* sealed under another key, for another tenant or
			  * kind, or damaged, or by another scheme than those
			  * whose keys are kept */
};

/*
 * Reads the key file if it has not been read: OK, NO_FILE or BAD_FILE, then
 * with a sentence in err.
 */
enum secret_result secret_load(struct secrets *s, char *err, size_t errsize)
    __attribute__((warn_unused_result));
/* Whether that has been done: the file is not needed any more. */
bool secret_loaded(const struct secrets *s);
/*
 * The same, and where there is no file makes one: mode 0600, never over
 * another, on disk when this returns.
 */
enum secret_result secret_make(struct secrets *s, char *err, size_t errsize)
    __attribute__((warn_unused_result));

/*
 * Whether it is sealed as it was up to schema 8, under the file itself: to be
 * sealed anew.
 */
bool secret_outdated(const void *sealed, size_t len);
/*
 * Seals len bytes (1 to SECRET_MAX) for the tenant with that public token;
 * adds len + SECRET_OVERHEAD bytes to out.  The file must have been loaded.
 */
int secret_seal(const struct secrets *s, const char *tenant_token,
    enum secret_kind kind, const void *p, size_t len, struct buf *out)
    __attribute__((warn_unused_result));
/*
 * Opens a sealed text into out (SECRET_MAX bytes), which the caller wipes
 * with sodium_memzero.  Loads the file if need be.
 */
enum secret_result secret_open(struct secrets *s, const char *tenant_token,
    enum secret_kind kind, const void *sealed, size_t len,
    uint8_t out[SECRET_MAX], size_t *out_len)
    __attribute__((warn_unused_result));

#endif
