/* SPDX-License-Identifier: MIT */
/*
 * A WebSocket's bytes through TLS: in order and whole however little the
 * socket takes, frames of one write in as few records as hold them, and no
 * byte left inside that the socket would not tell of.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/tls_context.h"
#include "common/tls_pair.h"
#include "worker/tls_io.h"
#include "worker/ws_out.h"

struct two {
	SSL_CTX *server_ctx, *client_ctx;
	SSL *client;
	struct ws_socket s; /* the server's end */
	int client_fd;
	unsigned records; /* of application data that the client got */
};

static char *
pem_text(BIO *b, size_t *len)
{
	char *p, *copy;
	long n = BIO_get_mem_data(b, &p);

	copy = malloc((size_t)n);
	memcpy(copy, p, (size_t)n);
	*len = (size_t)n;
	BIO_free(b);
	return copy;
}

/* A certificate that signs itself. */
static void
make_pair(struct tls_pair *p)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	BIO *b = BIO_new(BIO_s_mem());

	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -60);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_set_pubkey(x, key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
	    (const unsigned char *)"x", -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	assert_int_equal(PEM_write_bio_X509(b, x), 1);
	p->cert = pem_text(b, &p->cert_len);
	b = BIO_new(BIO_s_mem());
	assert_int_equal(PEM_write_bio_PrivateKey(b, key, NULL, NULL, 0, NULL,
			     NULL),
	    1);
	p->key = pem_text(b, &p->key_len);
	X509_free(x);
	EVP_PKEY_free(key);
}

static void
count_records(int out, int version, int type, const void *p, size_t len,
    SSL *ssl, void *arg)
{
	struct two *t = arg;

	(void)version;
	(void)len;
	(void)ssl;
	/* The header that was read, and what it says is inside. */
	if (out == 0 && type == SSL3_RT_HEADER &&
	    *(const uint8_t *)p == SSL3_RT_APPLICATION_DATA)
		t->records++;
}

static void
no_wait(int fd)
{
	int size = 4096;

	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
}

static int
setup(void **state)
{
	struct two *t = calloc(1, sizeof(*t));
	struct tls_pair p = { 0 };
	char err[300] = "";
	SSL *ssl;
	int fds[2];

	make_pair(&p);
	t->server_ctx = tls_context_new(&p, err, sizeof(err));
	assert_string_equal(err, "");
	tls_pair_free(&p);
	t->client_ctx = SSL_CTX_new(TLS_client_method());
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	no_wait(fds[0]);
	no_wait(fds[1]);
	t->client_fd = fds[1];
	t->client = SSL_new(t->client_ctx);
	SSL_set_fd(t->client, fds[1]);
	SSL_set_connect_state(t->client);
	ssl = SSL_new(t->server_ctx);
	SSL_set_fd(ssl, fds[0]);
	SSL_set_accept_state(ssl);
	for (int i = 0; i < 20; i++) {
		(void)SSL_do_handshake(t->client);
		(void)SSL_do_handshake(ssl);
	}
	assert_int_equal(SSL_is_init_finished(ssl), 1);
	SSL_set_msg_callback(t->client, count_records);
	SSL_set_msg_callback_arg(t->client, t);
	tls_io_start(&t->s, ssl, fds[0]);
	*state = t;
	return 0;
}

static int
teardown(void **state)
{
	struct two *t = *state;

	if (t->s.fd != -1)
		t->s.backend->close_fn(t->s.fd, t->s.ctx);
	SSL_free(t->client);
	close(t->client_fd);
	SSL_CTX_free(t->server_ctx);
	SSL_CTX_free(t->client_ctx);
	free(t);
	return 0;
}

static void
test_frames_of_a_write_share_records(void **state)
{
	struct two *t = *state;
	struct iovec v[40];
	char bytes[40][50], got[8192];
	int n;

	for (int i = 0; i < 40; i++) {
		memset(bytes[i], 'a' + i % 26, sizeof(bytes[i]));
		v[i].iov_base = bytes[i];
		v[i].iov_len = sizeof(bytes[i]);
	}
	assert_int_equal(t->s.backend->writev_fn(t->s.fd, t->s.ctx, v, 40),
	    sizeof(bytes));
	n = SSL_read(t->client, got, sizeof(got));
	assert_int_equal(n, sizeof(bytes));
	assert_memory_equal(got, bytes, sizeof(bytes));
	assert_int_equal(t->records, 1);
}

/* More than the socket takes, in frames of many sizes; the queue may be cut
 * short between two writes. */
static void
test_slow_reader(void **state)
{
	struct two *t = *state;
	struct ws_out o = { 0 };
	size_t sent = 0, wrote, got = 0, want = 0;
	bool waited = false;
	int rc;

	for (uint32_t i = 0; i < 600; i++) {
		char text[4000];
		size_t len = 1 + i * 37 % sizeof(text);
		struct ws_shared *f;

		memset(text, 'a' + (int)(i % 26), len);
		f = ws_shared_raw(text, len);
		ws_out_add(&o, f);
		ws_shared_unref(f);
		sent += len;
	}
	want = sent;
	do {
		char buf[3000];
		int n;

		rc = ws_out_flush(&o, t->s.backend, t->s.fd, t->s.ctx, &wrote);
		assert_int_not_equal(rc, -1);
		if (rc == 1)
			waited = true;
		if (rc == 1 && got > want / 2 && o.count > 100) {
			/* What was not given to TLS yet may be dropped. */
			want -= o.bytes;
			ws_out_drop(&o);
			want += o.bytes;
		}
		while ((n = SSL_read(t->client, buf, sizeof(buf))) > 0)
			got += (size_t)n;
		assert_int_equal(SSL_get_error(t->client, n),
		    SSL_ERROR_WANT_READ);
	} while (rc == 1);
	assert_true(waited);
	assert_int_equal(got, want);
	assert_true(want < sent);
	assert_int_equal(t->s.backend->waits_fn(t->s.ctx), 0);
	ws_out_free(&o);
}

static void
test_bytes_at_hand(void **state)
{
	struct two *t = *state;
	char text[3000], got[1000];

	memset(text, 'x', sizeof(text));
	assert_int_equal(SSL_write(t->client, text, sizeof(text)),
	    sizeof(text));
	assert_int_equal(t->s.backend->waits_fn(t->s.ctx), 0);
	for (int i = 1; i <= 3; i++) {
		assert_int_equal(t->s.backend->read_fn(t->s.fd, t->s.ctx, got,
				     sizeof(got)),
		    sizeof(got));
		assert_int_equal(t->s.backend->waits_fn(t->s.ctx),
		    i < 3 ? WS_WAITS_IN : 0);
	}
	assert_int_equal(t->s.backend->read_fn(t->s.fd, t->s.ctx, got,
			     sizeof(got)),
	    -1);
	assert_int_equal(errno, EAGAIN);
}

/* A peer that never reads makes the server answer; it must not grow. */
static void
test_key_updates_without_reading(void **state)
{
	struct two *t = *state;
	struct ws_out o = { 0 };
	long n = 0;
	char got[100];
	size_t wrote;
	struct ws_shared *f;
	static char much[200000];

	f = ws_shared_raw(much, sizeof(much));
	ws_out_add(&o, f);
	ws_shared_unref(f);
	assert_int_equal(ws_out_flush(&o, t->s.backend, t->s.fd, t->s.ctx,
			     &wrote),
	    1);
	for (int i = 0; i < 100000 && n != -2; i++) {
		SSL_key_update(t->client, SSL_KEY_UPDATE_REQUESTED);
		if (SSL_do_handshake(t->client) != 1)
			break;
		n = t->s.backend->read_fn(t->s.fd, t->s.ctx, got, sizeof(got));
		if (n == -1 && errno != EAGAIN)
			n = -2;
	}
	assert_int_equal(n, -2);
	ws_out_free(&o);
}

static void
test_end_of_both_kinds(void **state)
{
	struct two *t = *state;
	char got[10];

	assert_int_equal(SSL_shutdown(t->client), 0);
	assert_int_equal(t->s.backend->read_fn(t->s.fd, t->s.ctx, got,
			     sizeof(got)),
	    0);
	t->s.backend->finish_fn(t->s.fd, t->s.ctx);
	assert_int_equal(SSL_shutdown(t->client), 1);
}

static void
test_end_without_notice(void **state)
{
	struct two *t = *state;
	char got[10];

	shutdown(t->client_fd, SHUT_RDWR);
	assert_int_equal(t->s.backend->read_fn(t->s.fd, t->s.ctx, got,
			     sizeof(got)),
	    0);
}

static void
test_sealed_pair(void **state)
{
	struct tls_pair p = { 0 }, q;
	int fd;

	(void)state;
	make_pair(&p);
	fd = tls_pair_seal(&p);
	assert_int_not_equal(fd, -1);
	assert_int_equal(pwrite(fd, "x", 1, 20), -1);
	assert_int_equal(ftruncate(fd, 0), -1);
	/* As often as there are workers. */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(tls_pair_open(&q, fd), 0);
		assert_int_equal(q.cert_len, p.cert_len);
		assert_memory_equal(q.cert, p.cert, p.cert_len);
		assert_int_equal(q.key_len, p.key_len);
		assert_memory_equal(q.key, p.key, p.key_len);
		tls_pair_free(&q);
	}
	close(fd);
	tls_pair_free(&p);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(tls_pair_open(&q, fd), -1);
	close(fd);
}

static void
test_bad_pairs(void **state)
{
	struct tls_pair a = { 0 }, b = { 0 }, mixed;
	char err[300];

	(void)state;
	make_pair(&a);
	make_pair(&b);
	mixed = a;
	mixed.key = b.key;
	mixed.key_len = b.key_len;
	assert_null(tls_context_new(&mixed, err, sizeof(err)));
	assert_non_null(strstr(err, "TLS_KEY is not the key of TLS_CERT"));
	mixed.key = a.cert;
	mixed.key_len = a.cert_len;
	assert_null(tls_context_new(&mixed, err, sizeof(err)));
	assert_non_null(strstr(err, "TLS_KEY has no private key"));
	mixed.cert = a.key;
	mixed.cert_len = a.key_len;
	assert_null(tls_context_new(&mixed, err, sizeof(err)));
	assert_non_null(strstr(err, "TLS_CERT has no certificate"));
	/* Cut short, at any byte. */
	mixed = a;
	for (size_t n = 0; n < a.cert_len - 2; n += 7) {
		mixed.cert_len = n;
		assert_null(tls_context_new(&mixed, err, sizeof(err)));
		assert_non_null(strstr(err, "TLS_CERT"));
	}
	tls_pair_free(&a);
	tls_pair_free(&b);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_frames_of_a_write_share_records),
		TEST(test_slow_reader),
		TEST(test_bytes_at_hand),
		TEST(test_key_updates_without_reading),
		TEST(test_end_of_both_kinds),
		TEST(test_end_without_notice),
		cmocka_unit_test(test_sealed_pair),
		cmocka_unit_test(test_bad_pairs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
