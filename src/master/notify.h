/* SPDX-License-Identifier: MIT */
/*
 * What a service manager (systemd) is told and gives: readiness, a line of
 * status, a watchdog that is fed while writer and workers answer, sockets.
 * Without one, and built without libsystemd, all of it does nothing.
 */
#ifndef MASTER_NOTIFY_H
#define MASTER_NOTIFY_H

#include <stddef.h>
#include <stdint.h>

struct master;
struct notify;

/* Feeds the watchdog and keeps the status fresh from now on; NULL when
 * nobody wants to hear it. */
struct notify *notify_new(struct master *m);
void notify_free(struct notify *n);

void notify_ready(struct master *m);
/* A reload begins; notify_ready() ends it. */
void notify_reloading(void);
/* A stop begins that may take this long. */
void notify_stopping(uint64_t timeout_ms);

/*
 * The listening sockets that came with the start into fds, and what their
 * names say of them into kinds ("https": LISTENER_TLS): how many, 0 when none
 * did.  -1 with a sentence in err.
 */
int notify_sockets(int *fds, uint8_t *kinds, unsigned max, char *err,
    size_t errsize) __attribute__((warn_unused_result));

#endif
