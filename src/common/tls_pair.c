/* SPDX-License-Identifier: MIT */
/*
 * Reads certificate and key (master) and hands them on by a sealed memory
 * file (master to workers).  Looks into neither, and leaves no copy of the
 * key in memory that it gives back.
 */
#include "tls_pair.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mem.h"

/* The file: length of the certificate, then of the key, then both. */
struct pair_head {
	uint32_t cert_len, key_len;
};

static void
wipe(char **text, size_t *len)
{
	if (*text != NULL)
		explicit_bzero(*text, *len);
	free(*text);
	*text = NULL;
	*len = 0;
}

void
tls_pair_free(struct tls_pair *p)
{
	wipe(&p->cert, &p->cert_len);
	wipe(&p->key, &p->key_len);
}

static int
read_all(int fd, char *to, size_t len, off_t from)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(fd, to + done, len - done,
		    from + (off_t)done);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0) {
			errno = n == 0 ? EIO : errno;
			return -1;
		}
		done += (size_t)n;
	}
	return 0;
}

static int
read_pem(const char *name, const char *path, char **text, size_t *len,
    char *err, size_t errsize)
{
	/* Non-blocking, lest the name of a pipe held the start up. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	const char *why = NULL;
	struct stat st;

	if (fd == -1 || fstat(fd, &st) == -1)
		why = strerror(errno);
	else if (!S_ISREG(st.st_mode))
		why = "it is not a regular file";
	else if (st.st_size == 0)
		why = "it is empty";
	else if (st.st_size > TLS_PEM_MAX)
		why = "it is longer than 256 KiB";
	else {
		*len = (size_t)st.st_size;
		*text = mem_alloc(*len);
		if (read_all(fd, *text, *len, 0) == -1)
			why = strerror(errno);
	}
	if (fd != -1)
		close(fd);
	if (why == NULL)
		return 0;
	snprintf(err, errsize, "%s: cannot use %s: %s", name, path, why);
	return -1;
}

int
tls_pair_read(struct tls_pair *p, const char *cert_path, const char *key_path,
    char *err, size_t errsize)
{
	memset(p, 0, sizeof(*p));
	if (read_pem("TLS_CERT", cert_path, &p->cert, &p->cert_len, err,
		errsize) == 0 &&
	    read_pem("TLS_KEY", key_path, &p->key, &p->key_len, err, errsize) ==
		0)
		return 0;
	tls_pair_free(p);
	return -1;
}

static int
write_all(int fd, const void *from, size_t len)
{
	const char *p = from;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -1;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int
tls_pair_seal(const struct tls_pair *p)
{
	struct pair_head h = { (uint32_t)p->cert_len, (uint32_t)p->key_len };
	int saved, fd;

	fd = memfd_create("chatapi-tls", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd == -1)
		return -1;
	if (write_all(fd, &h, sizeof(h)) == 0 &&
	    write_all(fd, p->cert, p->cert_len) == 0 &&
	    write_all(fd, p->key, p->key_len) == 0 &&
	    fcntl(fd, F_ADD_SEALS,
		F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != -1)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

int
tls_pair_open(struct tls_pair *p, int fd)
{
	struct pair_head h;
	struct stat st;

	memset(p, 0, sizeof(*p));
	if (fstat(fd, &st) == -1 ||
	    read_all(fd, (char *)&h, sizeof(h), 0) == -1)
		return -1;
	if (h.cert_len == 0 || h.cert_len > TLS_PEM_MAX || h.key_len == 0 ||
	    h.key_len > TLS_PEM_MAX ||
	    (uint64_t)st.st_size != sizeof(h) + h.cert_len + h.key_len)
		return -1;
	p->cert_len = h.cert_len;
	p->cert = mem_alloc(p->cert_len);
	p->key_len = h.key_len;
	p->key = mem_alloc(p->key_len);
	if (read_all(fd, p->cert, p->cert_len, sizeof(h)) == 0 &&
	    read_all(fd, p->key, p->key_len,
		(off_t)(sizeof(h) + p->cert_len)) == 0)
		return 0;
	tls_pair_free(p);
	return -1;
}
