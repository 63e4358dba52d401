/* SPDX-License-Identifier: MIT */
/*
 * A certificate and its key as the texts of two PEM files, and their way
 * from the master, which may read them, to the workers: a sealed memory file
 * whose descriptor is passed on.  So they are in no environment, command
 * line or stream between processes.
 */
#ifndef COMMON_TLS_PAIR_H
#define COMMON_TLS_PAIR_H

#include <stddef.h>
#include <stdint.h>

/* Most bytes of a file; a chain of certificates has some thousand. */
#define TLS_PEM_MAX (256 * 1024)

struct tls_pair {
	char *cert; /* the certificate, then its chain */
	size_t cert_len;
	char *key;
	size_t key_len;
};

/* Wipes and frees. */
void tls_pair_free(struct tls_pair *p);
/* Reads both files; -1 with a sentence that names the file. */
int tls_pair_read(struct tls_pair *p, const char *cert_path,
    const char *key_path, char *err, size_t errsize)
    __attribute__((warn_unused_result));

/* A memory file with both that nobody can change; -1 with errno. */
int tls_pair_seal(const struct tls_pair *p);
/* What such a file holds; fd stays the caller's.  -1 when it is malformed. */
int tls_pair_open(struct tls_pair *p, int fd)
    __attribute__((warn_unused_result));

#endif
