/* SPDX-License-Identifier: MIT */
/* The worker's certificate, and the TLS sessions that begin under it. */
#ifndef WORKER_TLS_H
#define WORKER_TLS_H

struct ssl_st;
struct tls;
struct worker;

/*
 * Takes fd, which holds a pair as tls_pair_seal() makes it; sessions that
 * begin from here on use it.  -1, and the log says why, when it is no good:
 * what was there before stays.
 */
int tls_use(struct worker *w, int fd) __attribute__((warn_unused_result));
void tls_free(struct tls *t);

/* New session on the server's side, without a socket; SSL_free() it. */
struct ssl_st *tls_session(struct tls *t);

#endif
