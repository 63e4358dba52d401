/* SPDX-License-Identifier: MIT */
/* The key file, and what is sealed under it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/ids.h"
#include "common/secret.h"

#define TENANT "01kapdck0vabcdefghjkmn"
#define OTHER "01kapdck0vabcdefghjkmp"

struct place {
	char dir[32];
	char db[64];
	char file[80];
	struct secrets *s;
	struct buf out;
	char err[512];
	uint8_t open[SECRET_MAX];
	size_t len;
};

static int
setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	int fd;

	assert_non_null(p);
	assert_true(sodium_init() >= 0);
	strcpy(p->dir, "secret-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->db, sizeof(p->db), "%s/x.db", p->dir);
	snprintf(p->file, sizeof(p->file), "%s/x.db-secrets", p->dir);
	fd = open(p->db, O_WRONLY | O_CREAT, 0600);
	assert_int_not_equal(fd, -1);
	close(fd);
	p->s = secret_new(NULL, p->db);
	buf_init(&p->out, 4096);
	*state = p;
	return 0;
}

static int
teardown(void **state)
{
	struct place *p = *state;
	char path[128];

	secret_free(p->s);
	buf_free(&p->out);
	snprintf(path, sizeof(path), "%s/link", p->dir);
	unlink(path);
	unlink(p->file);
	rmdir(p->file);
	unlink(p->db);
	assert_int_equal(rmdir(p->dir), 0);
	free(p);
	return 0;
}

static enum secret_result
load(struct place *p)
{
	p->err[0] = '\0';
	return secret_load(p->s, p->err, sizeof(p->err));
}

static enum secret_result
make(struct place *p)
{
	p->err[0] = '\0';
	return secret_make(p->s, p->err, sizeof(p->err));
}

/* As another process, or this one after a restart. */
static void
again(struct place *p)
{
	secret_free(p->s);
	p->s = secret_new(NULL, p->db);
}

static enum secret_result
open_as(struct place *p, const char *tenant, enum secret_kind kind)
{
	return secret_open(p->s, tenant, kind, buf_head(&p->out), p->out.len,
	    p->open, &p->len);
}

static void
test_file(void **state)
{
	struct place *p = *state;
	struct stat st;
	ino_t inode;

	assert_int_equal(load(p), SECRET_NO_FILE);
	assert_non_null(strstr(p->err, "x.db-secrets"));
	assert_int_equal(stat(p->file, &st), -1);
	assert_int_equal(make(p), SECRET_OK);
	assert_int_equal(stat(p->file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, SECRET_KEY_SIZE);
	inode = st.st_ino;
	again(p);
	assert_int_equal(make(p), SECRET_OK);
	assert_int_equal(stat(p->file, &st), 0);
	assert_int_equal(st.st_ino, inode);
}

/* What a crash while it was made has left is in nobody's way. */
static void
test_made_anew_after_a_crash(void **state)
{
	struct place *p = *state;
	char name[128];
	struct stat st;
	int fd;

	snprintf(name, sizeof(name), "%s.new", p->file);
	fd = open(name, O_WRONLY | O_CREAT, 0644);
	assert_int_equal(write(fd, "half", 4), 4);
	close(fd);
	assert_int_equal(load(p), SECRET_NO_FILE);
	assert_int_equal(make(p), SECRET_OK);
	assert_int_equal(stat(name, &st), -1);
	assert_int_equal(stat(p->file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, SECRET_KEY_SIZE);
	assert_int_equal(st.st_nlink, 1);
}

/* It is beside the database itself, by whatever name that goes. */
static void
test_beside_the_real_file(void **state)
{
	struct place *p = *state;
	char link[128];
	struct stat st;

	snprintf(link, sizeof(link), "%s/link", p->dir);
	assert_int_equal(symlink("x.db", link), 0);
	secret_free(p->s);
	p->s = secret_new(NULL, link);
	assert_int_equal(make(p), SECRET_OK);
	assert_int_equal(stat(p->file, &st), 0);
	secret_free(p->s);
	p->s = secret_new("/nonexistent/key", p->db);
	assert_string_equal(secret_path(p->s), "/nonexistent/key");
	assert_int_equal(load(p), SECRET_NO_FILE);
	assert_int_equal(make(p), SECRET_BAD_FILE);
}

static void
test_refused_files(void **state)
{
	static const mode_t modes[] = { 0640, 0604, 0620, 0602, 0610, 0601,
		0777 };
	struct place *p = *state;
	int fd;

	assert_int_equal(make(p), SECRET_OK);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		again(p);
		assert_int_equal(chmod(p->file, modes[i]), 0);
		assert_int_equal(load(p), SECRET_BAD_FILE);
		assert_non_null(strstr(p->err, "chmod 600"));
		assert_int_equal(make(p), SECRET_BAD_FILE);
	}
	assert_int_equal(chmod(p->file, 0400), 0);
	assert_int_equal(load(p), SECRET_OK);
	for (off_t size = 0; size <= 64; size += 16) {
		again(p);
		assert_int_equal(chmod(p->file, 0600), 0);
		assert_int_equal(truncate(p->file, size), 0);
		assert_int_equal(load(p),
		    size == SECRET_KEY_SIZE ? SECRET_OK : SECRET_BAD_FILE);
	}
	again(p);
	unlink(p->file);
	assert_int_equal(mkdir(p->file, 0700), 0);
	assert_int_equal(load(p), SECRET_BAD_FILE);
	rmdir(p->file);
	assert_int_equal(mkfifo(p->file, 0600), 0);
	/* And does not wait for somebody to write. */
	assert_int_equal(load(p), SECRET_BAD_FILE);
	/* It may come back while the process lives. */
	unlink(p->file);
	fd = open(p->file, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, "0123456789abcdef0123456789abcdef", 32), 32);
	close(fd);
	assert_int_equal(load(p), SECRET_OK);
}

static void
test_seal_and_open(void **state)
{
	static const size_t sizes[] = { 1, 31, 32, 33, SECRET_MAX };
	struct place *p = *state;
	uint8_t text[SECRET_MAX];

	assert_int_equal(secret_seal(p->s, TENANT, SECRET_WEBHOOK, "x", 1,
			     &p->out),
	    -1);
	assert_int_equal(make(p), SECRET_OK);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		buf_clear(&p->out);
		randombytes_buf(text, sizes[i]);
		assert_int_equal(secret_seal(p->s, TENANT, SECRET_WEBHOOK, text,
				     sizes[i], &p->out),
		    0);
		assert_int_equal(p->out.len, sizes[i] + SECRET_OVERHEAD);
		again(p);
		assert_int_equal(open_as(p, TENANT, SECRET_WEBHOOK), SECRET_OK);
		assert_int_equal(p->len, sizes[i]);
		assert_memory_equal(p->open, text, sizes[i]);
	}
	assert_int_equal(secret_seal(p->s, TENANT, SECRET_WEBHOOK, text, 0,
			     &p->out),
	    -1);
	assert_int_equal(secret_seal(p->s, TENANT, SECRET_WEBHOOK, text,
			     SECRET_MAX + 1, &p->out),
	    -1);
}

/* Rows and columns cannot be exchanged; not a bit of it can be changed. */
static void
test_bound(void **state)
{
	struct place *p = *state;
	char *bytes;

	assert_int_equal(make(p), SECRET_OK);
	assert_int_equal(secret_seal(p->s, TENANT, SECRET_WEBHOOK,
			     "the same secret", 15, &p->out),
	    0);
	bytes = buf_head(&p->out);
	assert_null(memmem(bytes, p->out.len, "the same", 8));
	assert_int_equal(open_as(p, TENANT, SECRET_WEBHOOK), SECRET_OK);
	assert_int_equal(open_as(p, OTHER, SECRET_WEBHOOK), SECRET_FOREIGN);
	assert_int_equal(open_as(p, TENANT, SECRET_JWT_HS256), SECRET_FOREIGN);
	for (size_t i = 0; i < 8 * p->out.len; i++) {
		bytes[i / 8] = (char)(bytes[i / 8] ^ 1 << i % 8);
		assert_int_equal(open_as(p, TENANT, SECRET_WEBHOOK),
		    SECRET_FOREIGN);
		assert_int_equal(p->len, 0);
		bytes[i / 8] = (char)(bytes[i / 8] ^ 1 << i % 8);
	}
	while (p->out.len > 0) {
		p->out.len--;
		assert_int_equal(open_as(p, TENANT, SECRET_WEBHOOK),
		    SECRET_FOREIGN);
	}
}

static void
test_other_key(void **state)
{
	struct place *p = *state;
	struct buf second;

	assert_int_equal(make(p), SECRET_OK);
	buf_init(&second, 4096);
	assert_int_equal(secret_seal(p->s, TENANT, SECRET_WEBHOOK, "same", 4,
			     &p->out),
	    0);
	assert_int_equal(secret_seal(p->s, TENANT, SECRET_WEBHOOK, "same", 4,
			     &second),
	    0);
	/* Nobody sees that two are alike. */
	assert_memory_not_equal(buf_head(&p->out), buf_head(&second),
	    second.len);
	assert_null(memmem(buf_head(&p->out) + 25, p->out.len - 25,
	    buf_head(&second) + 25, 4));
	buf_free(&second);
	unlink(p->file);
	again(p);
	assert_int_equal(open_as(p, TENANT, SECRET_WEBHOOK), SECRET_NO_FILE);
	assert_int_equal(make(p), SECRET_OK);
	assert_int_equal(open_as(p, TENANT, SECRET_WEBHOOK), SECRET_FOREIGN);
}

/* A process that only opens one kind has no other key. */
static void
test_one_kind(void **state)
{
	static const enum secret_kind kinds[] = { SECRET_WEBHOOK,
		SECRET_JWT_HS256 };
	struct place *p = *state;

	assert_int_equal(make(p), SECRET_OK);
	for (int i = 0; i < 2; i++) {
		enum secret_kind kind = kinds[i], other = kinds[1 - i];

		secret_free(p->s);
		p->s = secret_new(NULL, p->db);
		assert_int_equal(load(p), SECRET_OK);
		buf_clear(&p->out);
		assert_int_equal(secret_seal(p->s, TENANT, kind, "one", 3,
				     &p->out),
		    0);
		secret_free(p->s);
		p->s = secret_new_only(NULL, p->db, kind);
		/* It has it already. */
		assert_true(secret_loaded(p->s));
		assert_int_equal(unlink(p->file), 0);
		assert_int_equal(open_as(p, TENANT, kind), SECRET_OK);
		assert_memory_equal(p->open, "one", 3);
		assert_int_equal(secret_seal(p->s, TENANT, other, "two", 3,
				     &p->out),
		    -1);
		again(p);
		assert_int_equal(make(p), SECRET_OK);
		buf_clear(&p->out);
		assert_int_equal(secret_seal(p->s, TENANT, kind, "one", 3,
				     &p->out),
		    0);
		secret_free(p->s);
		p->s = secret_new_only(NULL, p->db, other);
		assert_int_equal(open_as(p, TENANT, kind), SECRET_FOREIGN);
		again(p);
		assert_int_equal(open_as(p, TENANT, kind), SECRET_OK);
	}
	/* The file may come later. */
	assert_int_equal(unlink(p->file), 0);
	secret_free(p->s);
	p->s = secret_new_only(NULL, p->db, SECRET_WEBHOOK);
	assert_false(secret_loaded(p->s));
	assert_int_equal(load(p), SECRET_NO_FILE);
	assert_int_equal(make(p), SECRET_OK);
	assert_true(secret_loaded(p->s));
}

/* As programs up to schema 8 sealed: under the bytes of the file. */
static void
seal_as_before(struct place *p, enum secret_kind kind, const char *text)
{
	uint8_t key[32], ad[2 + ID_TOKEN_LEN] = { 1, (uint8_t)kind };
	uint8_t sealed[1 + 24 + 64] = { 1 };
	unsigned long long n;
	FILE *f = fopen(p->file, "rb");

	assert_non_null(f);
	assert_int_equal(fread(key, 1, sizeof(key), f), sizeof(key));
	fclose(f);
	memcpy(ad + 2, TENANT, ID_TOKEN_LEN);
	randombytes_buf(sealed + 1, 24);
	crypto_aead_xchacha20poly1305_ietf_encrypt(sealed + 25, &n,
	    (const uint8_t *)text, strlen(text), ad, sizeof(ad), NULL,
	    sealed + 1, key);
	buf_clear(&p->out);
	assert_int_equal(buf_add(&p->out, sealed, 25 + (size_t)n), 0);
}

static void
test_sealed_before(void **state)
{
	struct place *p = *state;

	assert_int_equal(make(p), SECRET_OK);
	seal_as_before(p, SECRET_WEBHOOK, "long ago");
	assert_true(secret_outdated(buf_head(&p->out), p->out.len));
	assert_int_equal(open_as(p, TENANT, SECRET_WEBHOOK), SECRET_OK);
	assert_int_equal(p->len, 8);
	assert_memory_equal(p->open, "long ago", 8);
	assert_int_equal(open_as(p, TENANT, SECRET_JWT_HS256), SECRET_FOREIGN);
	assert_int_equal(open_as(p, OTHER, SECRET_WEBHOOK), SECRET_FOREIGN);
	/* It does not pass for one of today's. */
	*buf_head(&p->out) = 2;
	assert_int_equal(open_as(p, TENANT, SECRET_WEBHOOK), SECRET_FOREIGN);
	/* Who has one kind's key has not the file's. */
	*buf_head(&p->out) = 1;
	secret_free(p->s);
	p->s = secret_new_only(NULL, p->db, SECRET_WEBHOOK);
	assert_int_equal(open_as(p, TENANT, SECRET_WEBHOOK), SECRET_FOREIGN);
	again(p);
	buf_clear(&p->out);
	assert_int_equal(load(p), SECRET_OK);
	assert_int_equal(secret_seal(p->s, TENANT, SECRET_WEBHOOK, "now", 3,
			     &p->out),
	    0);
	assert_false(secret_outdated(buf_head(&p->out), p->out.len));
	assert_false(secret_outdated(NULL, 0));
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_file),
		TEST(test_made_anew_after_a_crash),
		TEST(test_beside_the_real_file),
		TEST(test_refused_files),
		TEST(test_seal_and_open),
		TEST(test_bound),
		TEST(test_other_key),
		TEST(test_one_kind),
		TEST(test_sealed_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
