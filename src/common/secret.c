/* SPDX-License-Identifier: MIT */
/*
 * The key file and what is sealed under it.  Run by the writer (or a tool in
 * its place), which may make the file, and by workers and the courier, which
 * only read it.  Holds keys in locked memory and never logs them.
 *
 * Sealed: u8 version, 24 bytes of nonce, ciphertext with its tag.  The
 * associated data are version, kind and the tenant's public token.  Version 2
 * has a key for each kind, derived from the file's by crypto_kdf (BLAKE2b)
 * with the kind's number; version 1 had the file's for both.
 */
#include "secret.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "ids.h"
#include "mem.h"

#define NEW_SUFFIX ".new"
#define SEALED_VERSION 2
#define SEALED_FILE_KEY 1 /* the version before */
#define KDF_CONTEXT "chatapi."
#define KINDS 2
#define NONCE crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG crypto_aead_xchacha20poly1305_ietf_ABYTES
#define AD_SIZE (2 + ID_TOKEN_LEN)

_Static_assert(1 + NONCE + TAG == SECRET_OVERHEAD, "as the header says");
_Static_assert(SECRET_KEY_SIZE == crypto_aead_xchacha20poly1305_ietf_KEYBYTES,
    "as the cipher wants");
_Static_assert(SECRET_KEY_SIZE == crypto_kdf_KEYBYTES &&
	SECRET_JWT_HS256 == KINDS &&
	sizeof(KDF_CONTEXT) - 1 == crypto_kdf_CONTEXTBYTES,
    "as the derivation wants");

struct keys {
	uint8_t file[SECRET_KEY_SIZE];
	uint8_t kind[KINDS][SECRET_KEY_SIZE];
};

struct secrets {
	char *path; /* NULL until the database's real name is known */
	char *database;
	struct keys *keys; /* locked */
	bool loaded;
	enum secret_kind only; /* 0 = all kinds */
};

/* Beside the file itself, whichever link to it was named. */
static void
secret_resolve(struct secrets *s)
{
	char *real = realpath(s->database, NULL);
	const char *base = real != NULL ? real : s->database;
	size_t size = strlen(base) + sizeof(SECRET_SUFFIX);

	free(s->path);
	s->path = mem_alloc(size);
	(void)snprintf(s->path, size, "%s%s", base, SECRET_SUFFIX);
	free(real);
}

struct secrets *
secret_new(const char *key_file, const char *database)
{
	struct secrets *s = mem_alloc(sizeof(*s));

	s->database = mem_strdup(database);
	if (key_file != NULL)
		s->path = mem_strdup(key_file);
	else
		secret_resolve(s);
	if ((s->keys = sodium_malloc(sizeof(*s->keys))) == NULL)
		abort();
	return s;
}

struct secrets *
secret_new_only(const char *key_file, const char *database,
    enum secret_kind kind)
{
	struct secrets *s = secret_new(key_file, database);
	char err[512];

	s->only = kind;
	/* If not: the first one that is to be opened tells why. */
	s->loaded = secret_load(s, err, sizeof(err)) == SECRET_OK;
	return s;
}

bool
secret_loaded(const struct secrets *s)
{
	return s->loaded;
}

/* All keys that may be kept, of the file's. */
static void
keys_derive(struct secrets *s)
{
	struct keys *k = s->keys;

	for (unsigned i = 0; i < KINDS; i++)
		if (s->only == 0 || i + 1 == (unsigned)s->only)
			(void)crypto_kdf_derive_from_key(k->kind[i],
			    SECRET_KEY_SIZE, i + 1, KDF_CONTEXT, k->file);
	if (s->only != 0)
		sodium_memzero(k->file, SECRET_KEY_SIZE);
	s->loaded = true;
}

/* The key of what is sealed so; NULL where it is not at hand. */
static const uint8_t *
key_of(const struct secrets *s, uint8_t version, enum secret_kind kind)
{
	if (version == SEALED_FILE_KEY)
		return s->only == 0 ? s->keys->file : NULL;
	if (version != SEALED_VERSION || (s->only != 0 && s->only != kind))
		return NULL;
	return s->keys->kind[kind - 1];
}

void
secret_free(struct secrets *s)
{
	if (s == NULL)
		return;
	sodium_free(s->keys);
	free(s->path);
	free(s->database);
	free(s);
}

const char *
secret_path(const struct secrets *s)
{
	return s->path;
}

/* What is wrong with the open file; NULL when it may be used. */
static const char *
key_refusal(int fd)
{
	struct stat st;

	if (fstat(fd, &st) == -1)
		return strerror(errno);
	if (!S_ISREG(st.st_mode))
		return "it is no regular file";
	if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		return "others than its owner may use it; chmod 600 it, and "
		       "think of who may have read it";
	if (st.st_size != SECRET_KEY_SIZE)
		return "it must hold 32 bytes; put the right file back";
	return NULL;
}

enum secret_result
secret_load(struct secrets *s, char *err, size_t errsize)
{
	const char *why = NULL;
	int fd;

	if (s->loaded)
		return SECRET_OK;
	fd = open(s->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd == -1) {
		bool none = errno == ENOENT;

		(void)snprintf(err, errsize, "key file %s: %s", s->path,
		    strerror(errno));
		return none ? SECRET_NO_FILE : SECRET_BAD_FILE;
	}
	why = key_refusal(fd);
	if (why == NULL &&
	    read(fd, s->keys->file, SECRET_KEY_SIZE) != SECRET_KEY_SIZE)
		why = "it cannot be read whole";
	(void)close(fd);
	if (why != NULL) {
		sodium_memzero(s->keys->file, SECRET_KEY_SIZE);
		(void)snprintf(err, errsize, "key file %s: %s", s->path, why);
		return SECRET_BAD_FILE;
	}
	keys_derive(s);
	return SECRET_OK;
}

/* The name must survive a power cut as well as the bytes. */
static int
sync_directory(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash == NULL ? mem_strdup(".") :
	    slash == path         ? mem_strdup("/") :
				    mem_strndup(path, (size_t)(slash - path));
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	free(dir);
	if (fd == -1)
		return -1;
	rc = fsync(fd);
	(void)close(fd);
	return rc;
}

/* Writes a new key to the file; -1 with errno. */
static int
key_write(const struct secrets *s, int fd)
{
	struct stat st;

	if (write(fd, s->keys->file, SECRET_KEY_SIZE) != SECRET_KEY_SIZE)
		return -1;
	/* A command run by root must not lock the server out. */
	if (geteuid() == 0 && stat(s->database, &st) == 0 &&
	    fchown(fd, st.st_uid, st.st_gid) == -1)
		return -1;
	return fsync(fd);
}

/* A whole file under another name, on disk; -1 with errno. */
static int
key_file_new(const struct secrets *s, const char *name)
{
	int fd, rc, saved;

	/* Left behind by a crash; nothing was ever sealed under it. */
	(void)unlink(name);
	fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd == -1)
		return -1;
	rc = key_write(s, fd);
	saved = errno;
	(void)close(fd);
	errno = saved;
	return rc;
}

/* Gives it its name, unless there is such a file: a crash leaves all of it or
 * nothing. */
static int
key_file_name(const struct secrets *s, const char *name)
{
	if (link(name, s->path) == -1)
		return -1;
	(void)unlink(name);
	return sync_directory(s->path);
}

enum secret_result
secret_make(struct secrets *s, char *err, size_t errsize)
{
	enum secret_result result = secret_load(s, err, errsize);
	size_t size = strlen(s->path) + sizeof(NEW_SUFFIX);
	char *name;

	if (result != SECRET_NO_FILE)
		return result;
	name = mem_alloc(size);
	(void)snprintf(name, size, "%s%s", s->path, NEW_SUFFIX);
	randombytes_buf(s->keys->file, SECRET_KEY_SIZE);
	if (key_file_new(s, name) == -1 || key_file_name(s, name) == -1) {
		(void)snprintf(err, errsize, "key file %s cannot be made: %s",
		    s->path, strerror(errno));
		(void)unlink(name);
		sodium_memzero(s->keys->file, SECRET_KEY_SIZE);
		result = SECRET_BAD_FILE;
	} else {
		keys_derive(s);
		result = SECRET_OK;
	}
	free(name);
	return result;
}

static void
associated(uint8_t ad[AD_SIZE], uint8_t version, const char *tenant_token,
    enum secret_kind kind)
{
	ad[0] = version;
	ad[1] = (uint8_t)kind;
	memcpy(ad + 2, tenant_token, ID_TOKEN_LEN);
}

bool
secret_outdated(const void *sealed, size_t len)
{
	return len > 0 && *(const uint8_t *)sealed == SEALED_FILE_KEY;
}

int
secret_seal(const struct secrets *s, const char *tenant_token,
    enum secret_kind kind, const void *p, size_t len, struct buf *out)
{
	const uint8_t *key = key_of(s, SEALED_VERSION, kind);
	uint8_t ad[AD_SIZE], *to;

	if (!s->loaded || key == NULL || len == 0 || len > SECRET_MAX)
		return -1;
	to = (uint8_t *)buf_reserve(out, len + SECRET_OVERHEAD);
	if (to == NULL)
		return -1;
	associated(ad, SEALED_VERSION, tenant_token, kind);
	to[0] = SEALED_VERSION;
	randombytes_buf(to + 1, NONCE);
	(void)crypto_aead_xchacha20poly1305_ietf_encrypt(to + 1 + NONCE, NULL,
	    p, len, ad, sizeof(ad), NULL, to + 1, key);
	buf_added(out, len + SECRET_OVERHEAD);
	return 0;
}

enum secret_result
secret_open(struct secrets *s, const char *tenant_token, enum secret_kind kind,
    const void *sealed, size_t len, uint8_t out[SECRET_MAX], size_t *out_len)
{
	const uint8_t *p = sealed, *key;
	uint8_t ad[AD_SIZE];
	enum secret_result result;
	unsigned long long n;
	char err[512];

	*out_len = 0;
	if ((result = secret_load(s, err, sizeof(err))) != SECRET_OK)
		return result;
	if (len <= SECRET_OVERHEAD || len - SECRET_OVERHEAD > SECRET_MAX ||
	    (key = key_of(s, p[0], kind)) == NULL)
		return SECRET_FOREIGN;
	associated(ad, p[0], tenant_token, kind);
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(out, &n, NULL,
		p + 1 + NONCE, len - 1 - NONCE, ad, sizeof(ad), p + 1,
		key) != 0)
		return SECRET_FOREIGN;
	*out_len = (size_t)n;
	return SECRET_OK;
}
