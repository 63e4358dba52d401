/* SPDX-License-Identifier: MIT */
/*
 * The listening sockets: for each address one SO_REUSEPORT socket a worker
 * slot, bound before anything else starts and kept open in the master, so
 * that the next worker of a slot continues its accept queue.  Or the sockets
 * of a service manager, one for all slots.
 */
#ifndef MASTER_LISTEN_H
#define MASTER_LISTEN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define LISTEN_SOCKETS_MAX 32 /* addresses, resolved */

struct listeners;

/*
 * Resolves the addresses ("host:port", "[v6]:port", ":port" = both IPv4 and
 * IPv6, "unix:/path"), makes sure that no other program serves there, and binds a socket
 * for each of `slots` workers.  Port 0 takes a free one.  At the second list
 * TLS is spoken.  NULL with a sentence in err.
 */
struct listeners *listeners_open(char *const *addresses, int n,
    char *const *tls_addresses, int ntls, unsigned slots, char *err,
    size_t errsize);
/*
 * Takes over n listening sockets of these kinds that a service manager made, in place of
 * any of our own: all slots share them, and they are already listened on.
 * NULL with a sentence in err.
 */
struct listeners *listeners_adopt(const int *fds, const uint8_t *kinds,
    unsigned n, char *err, size_t errsize);
void listeners_free(struct listeners *l);
/* Gives the sockets, and the files of Unix-domain ones, to whom we are going
 * to be; -1 with errno. */
int listeners_give(const struct listeners *l, uid_t uid, gid_t gid)
    __attribute__((warn_unused_result));
/* Closes our descriptors and removes the files of Unix-domain sockets;
 * children keep their descriptors. */
void listeners_close(struct listeners *l);

/* "0.0.0.0:8080,[::]:8080": what is bound. */
const char *listeners_text(const struct listeners *l);
/* Sockets of one slot: an array of listeners_count(), borrowed. */
unsigned listeners_count(const struct listeners *l);
const int *listeners_fds(const struct listeners *l, unsigned slot);
/* What the i-th socket is, in whichever group: LISTENER_… of records.h. */
uint8_t listeners_kind(const struct listeners *l, unsigned i);
/* How many slots have sockets. */
unsigned listeners_slots(const struct listeners *l);
/* Binds sockets for as many; has them already does nothing.  -1 with a
 * sentence in err, and nothing has changed. */
int listeners_grow(struct listeners *l, unsigned slots, char *err,
    size_t errsize) __attribute__((warn_unused_result));
/*
 * What the worker of a slot accepts on when there are `workers` of them: its
 * own sockets, and its share of those that are listened on but have no worker
 * any more, as groups of listeners_count().  fds has room for LISTENERS_MAX.
 */
unsigned listeners_of(const struct listeners *l, unsigned slot,
    unsigned workers, int *fds);
/* Begins to queue clients for the slot; again does nothing.  -1 with
 * errno. */
int listeners_start(struct listeners *l, unsigned slot)
    __attribute__((warn_unused_result));

#endif
