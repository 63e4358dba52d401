/* SPDX-License-Identifier: MIT */
/*
 * Keeps the TLS context of a worker and changes it when the master sends
 * another pair; sessions hold the context they began with.  Runs in a
 * worker; does no I/O of its own.
 */
#include "tls.h"

#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/log.h"
#include "../common/mem.h"
#include "../common/tls_context.h"
#include "../common/tls_pair.h"
#include "worker.h"

struct tls {
	SSL_CTX *ctx;
};

int
tls_use(struct worker *w, int fd)
{
	char err[400] = "malformed", quoted[500];
	SSL_CTX *ctx = NULL;
	struct tls_pair p;

	if (tls_pair_open(&p, fd) == 0) {
		ctx = tls_context_new(&p, err, sizeof(err));
		tls_pair_free(&p);
	}
	(void)close(fd);
	if (ctx == NULL) {
		log_error("certificate unusable", "error=%s",
		    log_quote(quoted, sizeof(quoted), err, strlen(err)));
		return -1;
	}
	if (w->tls == NULL)
		w->tls = mem_alloc(sizeof(*w->tls));
	SSL_CTX_free(w->tls->ctx);
	w->tls->ctx = ctx;
	return 0;
}

void
tls_free(struct tls *t)
{
	if (t == NULL)
		return;
	SSL_CTX_free(t->ctx);
	free(t);
}

struct ssl_st *
tls_session(struct tls *t)
{
	SSL *ssl = SSL_new(t->ctx);

	if (ssl != NULL)
		SSL_set_accept_state(ssl);
	return ssl;
}
