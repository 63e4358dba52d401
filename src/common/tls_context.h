/* SPDX-License-Identifier: MIT */
/* How this server speaks TLS: versions, what is switched off, its
 * certificate and key. */
#ifndef COMMON_TLS_CONTEXT_H
#define COMMON_TLS_CONTEXT_H

#include <stddef.h>

struct ssl_ctx_st;
struct tls_pair;

/*
 * New context that serves with this pair; SSL_CTX_free() it.  NULL with a
 * sentence that names what is wrong with which of them; the settings'
 * names stand for the files.
 */
struct ssl_ctx_st *tls_context_new(const struct tls_pair *p, char *err,
    size_t errsize);

#endif
