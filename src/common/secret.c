/* SPDX-License-Identifier: MIT */
/*
 * The key file and what is sealed under it.  Run by the writer (or a tool in
 * its place), which may make the file, and by workers, which only read it.
 * Holds the key in locked memory and never logs it.
 *
 * Sealed: u8 version 1, 24 bytes of nonce, ciphertext with its tag.  The
 * associated data are version, kind and the tenant's public token.
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
#define SEALED_VERSION 1
#define NONCE crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG crypto_aead_xchacha20poly1305_ietf_ABYTES
#define AD_SIZE (2 + ID_TOKEN_LEN)

_Static_assert(1 + NONCE + TAG == SECRET_OVERHEAD, "as the header says");
_Static_assert(SECRET_KEY_SIZE == crypto_aead_xchacha20poly1305_ietf_KEYBYTES,
    "as the cipher wants");

struct secrets {
	char *path; /* NULL until the database's real name is known */
	char *database;
	uint8_t *key; /* SECRET_KEY_SIZE bytes, locked */
	bool loaded;
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
	if ((s->key = sodium_malloc(SECRET_KEY_SIZE)) == NULL)
		abort();
	return s;
}

void
secret_free(struct secrets *s)
{
	if (s == NULL)
		return;
	sodium_free(s->key);
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
	if (why == NULL && read(fd, s->key, SECRET_KEY_SIZE) != SECRET_KEY_SIZE)
		why = "it cannot be read whole";
	(void)close(fd);
	if (why != NULL) {
		sodium_memzero(s->key, SECRET_KEY_SIZE);
		(void)snprintf(err, errsize, "key file %s: %s", s->path, why);
		return SECRET_BAD_FILE;
	}
	s->loaded = true;
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

	if (write(fd, s->key, SECRET_KEY_SIZE) != SECRET_KEY_SIZE)
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
	randombytes_buf(s->key, SECRET_KEY_SIZE);
	if (key_file_new(s, name) == -1 || key_file_name(s, name) == -1) {
		(void)snprintf(err, errsize, "key file %s cannot be made: %s",
		    s->path, strerror(errno));
		(void)unlink(name);
		sodium_memzero(s->key, SECRET_KEY_SIZE);
		result = SECRET_BAD_FILE;
	} else {
		s->loaded = true;
		result = SECRET_OK;
	}
	free(name);
	return result;
}

static void
associated(uint8_t ad[AD_SIZE], const char *tenant_token, enum secret_kind kind)
{
	ad[0] = SEALED_VERSION;
	ad[1] = (uint8_t)kind;
	memcpy(ad + 2, tenant_token, ID_TOKEN_LEN);
}

int
secret_seal(const struct secrets *s, const char *tenant_token,
    enum secret_kind kind, const void *p, size_t len, struct buf *out)
{
	uint8_t ad[AD_SIZE], *to;

	if (!s->loaded || len == 0 || len > SECRET_MAX)
		return -1;
	to = (uint8_t *)buf_reserve(out, len + SECRET_OVERHEAD);
	if (to == NULL)
		return -1;
	associated(ad, tenant_token, kind);
	to[0] = SEALED_VERSION;
	randombytes_buf(to + 1, NONCE);
	(void)crypto_aead_xchacha20poly1305_ietf_encrypt(to + 1 + NONCE, NULL,
	    p, len, ad, sizeof(ad), NULL, to + 1, s->key);
	buf_added(out, len + SECRET_OVERHEAD);
	return 0;
}

enum secret_result
secret_open(struct secrets *s, const char *tenant_token, enum secret_kind kind,
    const void *sealed, size_t len, uint8_t out[SECRET_MAX], size_t *out_len)
{
	const uint8_t *p = sealed;
	uint8_t ad[AD_SIZE];
	enum secret_result result;
	unsigned long long n;
	char err[512];

	*out_len = 0;
	if ((result = secret_load(s, err, sizeof(err))) != SECRET_OK)
		return result;
	if (len <= SECRET_OVERHEAD || len - SECRET_OVERHEAD > SECRET_MAX ||
	    p[0] != SEALED_VERSION)
		return SECRET_FOREIGN;
	associated(ad, tenant_token, kind);
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(out, &n, NULL,
		p + 1 + NONCE, len - 1 - NONCE, ad, sizeof(ad), p + 1,
		s->key) != 0)
		return SECRET_FOREIGN;
	*out_len = (size_t)n;
	return SECRET_OK;
}
