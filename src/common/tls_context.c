/* SPDX-License-Identifier: MIT */
/*
 * Makes the TLS context out of a certificate and its key.  Run by workers,
 * and by a short-lived child of the master that only looks whether a pair is
 * good: OpenSSL has no business in the master itself.
 */
#include "tls_context.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>

#include "tls_pair.h"

/* Debian's default, but not everybody's: 112 bits, so no RSA below 2048. */
#define SECURITY_LEVEL 2

static const unsigned char alpn[] = { 8, 'h', 't', 't', 'p', '/', '1', '.',
	'1' };

/* Who offers only other protocols would not understand our answers. */
static int
choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *outlen,
    const unsigned char *in, unsigned inlen, void *arg)
{
	unsigned char *chosen;

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto(&chosen, outlen, alpn, sizeof(alpn), in,
		inlen) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

/* Nobody is there to type a passphrase. */
static int
no_passphrase(char *buf, int size, int writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)writing;
	*(int *)arg = 1;
	return -1;
}

static int
fail(const char *what, char *err, size_t errsize)
{
	unsigned long e = ERR_peek_last_error();
	const char *why = e != 0 ? ERR_reason_error_string(e) : NULL;

	snprintf(err, errsize, "%s%s%s", what, why != NULL ? ": " : "",
	    why != NULL ? why : "");
	return -1;
}

static int
use_certificate(SSL_CTX *ctx, const struct tls_pair *p, char *err,
    size_t errsize)
{
	BIO *in = BIO_new_mem_buf(p->cert, (int)p->cert_len);
	X509 *x = PEM_read_bio_X509_AUX(in, NULL, NULL, NULL);
	int rc = -1;

	if (x == NULL) {
		fail("TLS_CERT has no certificate in PEM form", err, errsize);
		goto out;
	}
	if (SSL_CTX_use_certificate(ctx, x) != 1) {
		fail("TLS_CERT cannot be used", err, errsize);
		goto out;
	}
	X509_free(x);
	while ((x = PEM_read_bio_X509(in, NULL, NULL, NULL)) != NULL)
		if (SSL_CTX_add0_chain_cert(ctx, x) != 1) {
			fail("the chain in TLS_CERT cannot be used", err,
			    errsize);
			goto out;
		}
	/* The end of the file is where there is nothing more that begins. */
	if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		fail("the chain in TLS_CERT is malformed", err, errsize);
	else
		rc = 0;
	ERR_clear_error();
out:
	X509_free(x);
	BIO_free(in);
	return rc;
}

static int
use_key(SSL_CTX *ctx, const struct tls_pair *p, char *err, size_t errsize)
{
	BIO *in = BIO_new_mem_buf(p->key, (int)p->key_len);
	int asked = 0, rc = -1;
	EVP_PKEY *key = PEM_read_bio_PrivateKey(in, NULL, no_passphrase,
	    &asked);

	if (key == NULL && asked) {
		ERR_clear_error();
		fail("TLS_KEY is encrypted with a passphrase; give it "
		     "without one",
		    err, errsize);
	} else if (key == NULL)
		fail("TLS_KEY has no private key in PEM form", err, errsize);
	else if (SSL_CTX_use_PrivateKey(ctx, key) != 1 ||
	    SSL_CTX_check_private_key(ctx) != 1)
		fail("TLS_KEY is not the key of TLS_CERT", err, errsize);
	else
		rc = 0;
	EVP_PKEY_free(key);
	BIO_free(in);
	return rc;
}

/*
 * No tickets and no cache: a session could be resumed only by the worker
 * that began it, unless a key that decrypts recorded sessions were shared
 * by all and changed in time.  Connections here last long and do without.
 */
static int
set_options(SSL_CTX *ctx)
{
	SSL_CTX_set_options(ctx,
	    SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET |
		SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(ctx,
	    SSL_MODE_ENABLE_PARTIAL_WRITE |
		SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_security_level(ctx, SECURITY_LEVEL);
	SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
	return SSL_CTX_set_num_tickets(ctx, 0) == 1 &&
	    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1;
}

struct ssl_ctx_st *
tls_context_new(const struct tls_pair *p, char *err, size_t errsize)
{
	SSL_CTX *ctx;

	ERR_clear_error();
	ctx = SSL_CTX_new(TLS_server_method());
	if (ctx == NULL || !set_options(ctx))
		fail("TLS cannot be set up", err, errsize);
	else if (use_certificate(ctx, p, err, errsize) == 0 &&
	    use_key(ctx, p, err, errsize) == 0)
		return ctx;
	ERR_clear_error();
	SSL_CTX_free(ctx);
	return NULL;
}
