/* SPDX-License-Identifier: MIT */
/*
 * Reads the web console into memory.  Runs in a worker, once, before it is
 * ready; it follows no name that a client sent.
 */
#include "console.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/log.h"
#include "../common/mem.h"

#define FILES_MAX 96
#define FILE_BYTES_MAX ((size_t)512 * 1024)
#define BYTES_MAX ((size_t)4 * 1024 * 1024)
#define HASH_BYTES 16
#define NAME_CHARS \
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

struct console {
	struct console_file files[FILES_MAX];
	size_t nfiles;
	size_t bytes;
};

static const struct {
	const char *suffix;
	const char *type;
} types[] = {
	{ ".html", "text/html; charset=utf-8" },
	{ ".css", "text/css; charset=utf-8" },
	{ ".js", "text/javascript; charset=utf-8" },
	{ ".mjs", "text/javascript; charset=utf-8" },
	{ ".svg", "image/svg+xml" },
	{ ".png", "image/png" },
};

/* NULL: no file of the console. */
static const char *
type_of(const char *name)
{
	size_t len = strlen(name);

	if (name[0] == '.' || name[strspn(name, NAME_CHARS)] != '\0')
		return NULL;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		size_t n = strlen(types[i].suffix);

		if (len > n && strcmp(name + len - n, types[i].suffix) == 0)
			return types[i].type;
	}
	return NULL;
}

/* Reads a regular file of at most `most` bytes to its end; new memory. */
static char *
file_read(int dir, const char *name, size_t most, size_t *len)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	char *data;
	size_t got = 0;
	ssize_t n;

	if (fd == -1)
		return NULL;
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) || st.st_size < 0 ||
	    (size_t)st.st_size > most) {
		close(fd);
		errno = EFBIG;
		return NULL;
	}
	data = mem_alloc((size_t)st.st_size + 1);
	while (got < (size_t)st.st_size) {
		n = read(fd, data + got, (size_t)st.st_size - got);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		got += (size_t)n;
	}
	close(fd);
	*len = got;
	return data;
}

static void
etag_make(struct console_file *f)
{
	unsigned char hash[HASH_BYTES];
	char *p = f->etag;

	crypto_generichash(hash, sizeof(hash), (unsigned char *)f->data, f->len,
	    NULL, 0);
	*p++ = '"';
	sodium_bin2hex(p, sizeof(hash) * 2 + 1, hash, sizeof(hash));
	p += sizeof(hash) * 2;
	*p++ = '"';
	*p = '\0';
}

static void
file_add(struct console *c, int dir, const char *folder, const char *name)
{
	size_t left = BYTES_MAX - c->bytes;
	struct console_file *f = &c->files[c->nfiles];
	const char *type = type_of(name);
	char quoted[300];

	if (type == NULL)
		return;
	errno = ENFILE;
	if (c->nfiles < FILES_MAX)
		f->data = file_read(dir, name,
		    left < FILE_BYTES_MAX ? left : FILE_BYTES_MAX, &f->len);
	if (c->nfiles == FILES_MAX || f->data == NULL) {
		log_warn("a file of the console is left out",
		    "file=%s errno=%d",
		    log_quote(quoted, sizeof(quoted), name, strlen(name)),
		    errno);
		return;
	}
	if (asprintf(&f->name, "%s%s%s", folder, *folder != '\0' ? "/" : "",
		name) == -1)
		abort();
	f->type = type;
	etag_make(f);
	c->bytes += f->len;
	c->nfiles++;
}

/* Takes the descriptor.  -1: it is no directory. */
static int
folder_read(struct console *c, int fd, const char *folder)
{
	DIR *d = fd != -1 ? fdopendir(fd) : NULL;
	struct dirent *e;

	if (d == NULL) {
		if (fd != -1)
			close(fd);
		return -1;
	}
	while ((e = readdir(d)) != NULL)
		file_add(c, fd, folder, e->d_name);
	closedir(d);
	return 0;
}

struct console *
console_load(const char *dir)
{
	struct console *c = mem_alloc(sizeof(*c));
	struct str index = { "index.html", strlen("index.html") };
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), client = -1;

	if (fd != -1)
		client = openat(fd, CONSOLE_CLIENT,
		    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder_read(c, fd, "") == -1) {
		int err = errno;

		console_free(c);
		if (client != -1)
			close(client);
		errno = err;
		return NULL;
	}
	(void)folder_read(c, client, CONSOLE_CLIENT);
	if (console_find(c, "", index) != NULL)
		return c;
	console_free(c);
	errno = ENOENT;
	return NULL;
}

void
console_free(struct console *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->nfiles; i++) {
		free(c->files[i].name);
		free(c->files[i].data);
	}
	free(c);
}

const struct console_file *
console_find(const struct console *c, const char *folder, struct str name)
{
	size_t n = strlen(folder);

	for (size_t i = 0; c != NULL && i < c->nfiles; i++) {
		const char *p = c->files[i].name;

		if (n > 0) {
			if (strncmp(p, folder, n) != 0 || p[n] != '/')
				continue;
			p += n + 1;
		}
		if (strlen(p) == name.len && memcmp(p, name.p, name.len) == 0 &&
		    memchr(name.p, '/', name.len) == NULL)
			return &c->files[i];
	}
	return NULL;
}
