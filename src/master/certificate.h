/* SPDX-License-Identifier: MIT */
/*
 * TLS_CERT and TLS_KEY: read and looked at here, while this process may read
 * them, and handed to the workers.
 */
#ifndef MASTER_CERTIFICATE_H
#define MASTER_CERTIFICATE_H

#include <stddef.h>

struct child;
struct config;
struct master;

/* Whether the pair that is configured, if any, is good.  -1 with a sentence
 * that names the file. */
int certificate_check(const struct config *c, char *err, size_t errsize)
    __attribute__((warn_unused_result));
/* As certificate_check(), and keeps it for the workers. */
int certificate_load(struct master *m, char *err, size_t errsize)
    __attribute__((warn_unused_result));
/* Hands it to a worker; nothing without TLS. */
void certificate_send(struct child *worker);
/*
 * Reads both files again; child_configure() hands them to the workers then:
 * new connections get the new pair, those that are open stay.  A bad pair is
 * refused, the log says why, and the old one stays.  Without TLS nothing
 * happens.  1 when it is another pair than before, -1 with a sentence when it
 * was refused.
 */
int certificate_reload(struct master *m, char *err, size_t errsize);

#endif
