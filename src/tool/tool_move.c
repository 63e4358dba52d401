/* SPDX-License-Identifier: MIT */
/*
 * chatapi export and import: a tenant moves to another server.  His secrets
 * travel encrypted under a passphrase, or not at all; his API keys as the
 * hashes that they are.  A process of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "../common/config.h"
#include "../common/mem.h"
#include "../common/secret.h"
#include "../writer/store.h"
#include "../writer/store_move.h"
#include "tool_int.h"

#define PASSPHRASE_MIN 8
#define PASSPHRASE_MAX 1024
/* What a file may ask of us: 1 GiB. */
#define OPS_MAX 16
#define MEM_MAX (UINT64_C(1) << 30)

struct move {
	struct tool *t;
	struct store_move m;
	struct secrets *secrets;
	char passphrase[PASSPHRASE_MAX + 2];
	uint8_t key[crypto_secretbox_KEYBYTES];
	struct progress progress;
};

static bool
on_progress(void *arg, uint64_t done, uint64_t all)
{
	struct move *mv = arg;

	progress_show(&mv->progress, done, all);
	return tool_stopped();
}

/* ---- the passphrase ---- */

static void
cut_newline(char *s)
{
	s[strcspn(s, "\r\n")] = '\0';
}

static int
passphrase_file(struct move *mv, const char *path)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	char *got;

	if (f == NULL) {
		(void)tool_error("cannot read %s: %s", path, strerror(errno));
		return -1;
	}
	got = fgets(mv->passphrase, (int)sizeof(mv->passphrase), f);
	if (f != stdin)
		(void)fclose(f);
	if (got == NULL)
		mv->passphrase[0] = '\0';
	cut_newline(mv->passphrase);
	return 0;
}

static void
passphrase_read(FILE *tty, const char *prompt, char *out, size_t size)
{
	(void)fputs(prompt, tty);
	(void)fflush(tty);
	if (fgets(out, (int)size, tty) == NULL)
		out[0] = '\0';
	(void)fputs("\n", tty);
	cut_newline(out);
}

/* `twice`: a slip would make the secrets unreadable for good. */
static int
passphrase_ask(struct move *mv, bool twice)
{
	struct termios old, quiet;
	FILE *tty = fopen("/dev/tty", "r+e");
	char again[sizeof(mv->passphrase)];
	int rc = 0;

	if (tty == NULL || tcgetattr(fileno(tty), &old) == -1) {
		(void)tool_error("give the passphrase of the secrets by "
				 "--passphrase-file, or leave them out with "
				 "--no-secrets");
		if (tty != NULL)
			(void)fclose(tty);
		return -1;
	}
	quiet = old;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	(void)tcsetattr(fileno(tty), TCSAFLUSH, &quiet);
	passphrase_read(tty, "Passphrase of the secrets: ", mv->passphrase,
	    sizeof(mv->passphrase));
	if (twice) {
		passphrase_read(tty, "Again: ", again, sizeof(again));
		if (strcmp(again, mv->passphrase) != 0)
			rc = -1;
		sodium_memzero(again, sizeof(again));
	}
	(void)tcsetattr(fileno(tty), TCSAFLUSH, &old);
	(void)fclose(tty);
	if (rc == -1)
		(void)tool_error("the two differ; nothing was exported");
	return rc;
}

/* The key that secrets are encrypted under. */
static int
passphrase_key(struct move *mv, bool is_new)
{
	const char *path = tool_value(mv->t, TOOL_PASSPHRASE_FILE);
	size_t len;

	if ((path != NULL ? passphrase_file(mv, path) :
			    passphrase_ask(mv, is_new)) == -1)
		return -1;
	len = strlen(mv->passphrase);
	if (len < PASSPHRASE_MIN || len > PASSPHRASE_MAX) {
		(void)tool_error("a passphrase has %d to %d bytes",
		    PASSPHRASE_MIN, PASSPHRASE_MAX);
		return -1;
	}
	if (mv->m.ops < crypto_pwhash_OPSLIMIT_MIN || mv->m.ops > OPS_MAX ||
	    mv->m.mem < crypto_pwhash_MEMLIMIT_MIN || mv->m.mem > MEM_MAX) {
		(void)tool_error("the export is damaged");
		return -1;
	}
	if (crypto_pwhash(mv->key, sizeof(mv->key), mv->passphrase, len,
		mv->m.salt, mv->m.ops, (size_t)mv->m.mem,
		crypto_pwhash_ALG_ARGON2ID13) == 0)
		return 0;
	(void)tool_error("no memory for the passphrase");
	return -1;
}

/* ---- secrets ---- */

/* What is encrypted: the kind, the tenant, the secret. */
#define HEAD (1 + ID_TOKEN_LEN)

static void
box_close(struct move *mv, enum secret_kind kind, const uint8_t *secret,
    size_t len, struct move_box *box)
{
	uint8_t plain[HEAD + SECRET_MAX];
	uint8_t *nonce = box->p;

	plain[0] = (uint8_t)kind;
	memcpy(plain + 1, mv->m.tenant, ID_TOKEN_LEN);
	memcpy(plain + HEAD, secret, len);
	randombytes_buf(nonce, crypto_secretbox_NONCEBYTES);
	(void)crypto_secretbox_easy(box->p + crypto_secretbox_NONCEBYTES, plain,
	    HEAD + len, nonce, mv->key);
	box->len = crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES +
	    HEAD + len;
	sodium_memzero(plain, sizeof(plain));
}

/* 0 with the secret, -1: another passphrase, or damaged. */
static int
box_open(struct move *mv, enum secret_kind kind, const struct move_box *box,
    uint8_t secret[SECRET_MAX], size_t *len)
{
	const size_t extra = crypto_secretbox_NONCEBYTES +
	    crypto_secretbox_MACBYTES + HEAD;
	uint8_t plain[STORE_EXPORT_BOX_MAX];
	int rc = -1;

	if (box->len > extra && box->len - extra <= SECRET_MAX &&
	    crypto_secretbox_open_easy(plain,
		box->p + crypto_secretbox_NONCEBYTES,
		box->len - crypto_secretbox_NONCEBYTES, box->p, mv->key) == 0 &&
	    plain[0] == (uint8_t)kind &&
	    memcmp(plain + 1, mv->m.tenant, ID_TOKEN_LEN) == 0) {
		*len = box->len - extra;
		memcpy(secret, plain + HEAD, *len);
		rc = 0;
	}
	sodium_memzero(plain, sizeof(plain));
	return rc;
}

/* From under the key file to under the passphrase. */
static int
secret_out(struct move *mv, enum secret_kind kind, struct move_box *box)
{
	uint8_t secret[SECRET_MAX];
	size_t len;

	if (box->len == 0)
		return 0;
	if (secret_open(mv->secrets, mv->m.tenant, kind, box->p, box->len,
		secret, &len) != SECRET_OK) {
		(void)tool_error("the tenant's secrets cannot be opened with "
				 "the key file %s; --no-secrets leaves them "
				 "out",
		    secret_path(mv->secrets));
		return -1;
	}
	box_close(mv, kind, secret, len, box);
	sodium_memzero(secret, sizeof(secret));
	return 0;
}

/* And back, under the key file that is here. */
static int
secret_in(struct move *mv, enum secret_kind kind, struct move_box *box)
{
	uint8_t secret[SECRET_MAX];
	char err[512];
	struct buf out;
	size_t len;
	int rc = -1;

	if (box->len == 0)
		return 0;
	if (box_open(mv, kind, box, secret, &len) == -1) {
		(void)tool_error("the passphrase is another one, or the export "
				 "is damaged");
		return -1;
	}
	buf_init(&out, SECRET_MAX + SECRET_OVERHEAD);
	if (secret_make(mv->t->secrets, err, sizeof(err)) != SECRET_OK)
		(void)tool_error("%s", err);
	else if (secret_seal(mv->t->secrets, mv->m.tenant, kind, secret, len,
		     &out) == 0) {
		memcpy(box->p, buf_head(&out), out.len);
		box->len = out.len;
		rc = 0;
	}
	sodium_memzero(secret, sizeof(secret));
	buf_free(&out);
	return rc;
}

static void
move_free(struct move *mv)
{
	progress_end(&mv->progress);
	sodium_memzero(mv->passphrase, sizeof(mv->passphrase));
	sodium_memzero(mv->key, sizeof(mv->key));
	secret_free(mv->secrets);
	free(mv);
}

static struct move *
move_new(struct tool *t, const char *label)
{
	struct move *mv = mem_alloc(sizeof(*mv));

	mv->t = t;
	mv->m.progress = on_progress;
	mv->m.arg = mv;
	progress_begin(&mv->progress, t, label, false);
	return mv;
}

static int
report(const struct move *mv, const char *file)
{
	struct json_object *o = json_object_new_object();
	const struct {
		const char *name;
		uint64_t n;
	} numbers[] = { { "rooms", mv->m.rooms },
		{ "messages", mv->m.messages } };
	char text[32], id[ID_PUBLIC_SIZE];

	(void)snprintf(id, sizeof(id), "tenant_%s", mv->m.tenant);
	(void)json_object_object_add(o, "tenant_id",
	    json_object_new_string(id));
	(void)json_object_object_add(o, "name",
	    json_object_new_string(mv->m.name));
	(void)json_object_object_add(o, "file", json_object_new_string(file));
	for (int i = 0; i < 2; i++)
		(void)json_object_object_add(o, numbers[i].name,
		    json_object_new_int64((int64_t)numbers[i].n));
	(void)json_object_object_add(o, "secrets",
	    json_object_new_boolean(mv->m.webhook_secret.len +
		    mv->m.jwt_secret.len >
		0));
	if (mv->t->json)
		tool_print_json(o);
	else {
		tool_print("tenant_id", id);
		tool_print("name", mv->m.name);
		tool_print("file", file);
		for (int i = 0; i < 2; i++) {
			(void)snprintf(text, sizeof(text), "%llu",
			    (unsigned long long)numbers[i].n);
			tool_print(numbers[i].name, text);
		}
	}
	json_object_put(o);
	return 0;
}

/* ---- export ---- */

/* The tenant's secrets into what goes into the file. */
static int
export_secrets(struct move *mv)
{
	struct tool *t = mv->t;

	randombytes_buf(mv->m.salt, sizeof(mv->m.salt));
	mv->m.ops = crypto_pwhash_OPSLIMIT_MODERATE;
	mv->m.mem = crypto_pwhash_MEMLIMIT_MODERATE;
	if ((t->opts & TOOL_NO_SECRETS) != 0)
		mv->m.webhook_secret.len = mv->m.jwt_secret.len = 0;
	if (mv->m.webhook_secret.len + mv->m.jwt_secret.len == 0)
		return 0;
	mv->secrets = secret_new(t->config->key_file, t->config->dsn.path);
	if (passphrase_key(mv, true) == -1 ||
	    secret_out(mv, SECRET_WEBHOOK, &mv->m.webhook_secret) == -1 ||
	    secret_out(mv, SECRET_JWT_HS256, &mv->m.jwt_secret) == -1)
		return -1;
	return 0;
}

/* Writes beside the copy, then moves it to its place. */
static int
export_write(struct move *mv, const char *copy, const char *file)
{
	size_t size = strlen(copy) + sizeof("-export");
	char *part = mem_alloc(size), err[STORE_MOVE_ERR_SIZE];
	int rc = -1, fd;

	(void)snprintf(part, size, "%s-export", copy);
	(void)unlink(part);
	fd = open(part, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd == -1 || close(fd) == -1)
		(void)tool_error("cannot make %s: %s", part, strerror(errno));
	else if (store_export(copy, part, &mv->m, err) == -1)
		(void)tool_error("%s", tool_stopped() ? "interrupted" : err);
	else if (tool_sync_file(part) == 0)
		rc = tool_place(mv->t, part, file,
		    (mv->t->opts & TOOL_FORCE) != 0);
	if (rc == -1)
		tool_remove_db(part);
	free(part);
	return rc;
}

int
tool_export(struct tool *t, char **args)
{
	const char *tenant = tool_value(t, TOOL_TENANT), *token = NULL;
	char err[STORE_MOVE_ERR_SIZE], *copy;
	struct move *mv;
	int lock = -1, rc = -1;

	if (tenant != NULL)
		token = id_token_of(tenant, strlen(tenant), "tenant_");
	if (token == NULL)
		return tool_error("say whom: --tenant tenant_…"), 2;
	if (!tool_may_make(t, args[0]))
		return 1;
	tool_catch_signals();
	if ((copy = tool_snapshot(t, &lock)) == NULL)
		return 1;
	mv = move_new(t, "exporting");
	(void)snprintf(mv->m.tenant, sizeof(mv->m.tenant), "%s", token);
	if (store_export_look(copy, &mv->m, err) == -1)
		(void)tool_error("%s", err);
	else if (export_secrets(mv) == 0)
		rc = export_write(mv, copy, args[0]);
	tool_remove_db(copy);
	(void)close(lock);
	free(copy);
	if (rc == 0)
		(void)report(mv, args[0]);
	move_free(mv);
	return rc == 0 ? 0 : 1;
}

/* ---- import ---- */

/* What root may read and the database's owner perhaps not: the passphrase and
 * the export. */
static int
import_open(struct move *mv, const char *file, char *err)
{
	struct tool *t = mv->t;
	int rc = 0;

	if ((t->opts & TOOL_NO_SECRETS) != 0)
		mv->m.webhook_secret.len = mv->m.jwt_secret.len = 0;
	tool_step_out(t);
	if (mv->m.webhook_secret.len + mv->m.jwt_secret.len > 0)
		rc = passphrase_key(mv, false);
	if (rc == 0 && (rc = store_import_open(t->store, file, err)) == -1)
		(void)tool_error("%s; nothing was imported", err);
	return tool_step_in(t) == 0 ? rc : -1;
}

static int
import_run(struct move *mv, const char *file, char *err)
{
	if (import_open(mv, file, err) == -1 ||
	    secret_in(mv, SECRET_WEBHOOK, &mv->m.webhook_secret) == -1 ||
	    secret_in(mv, SECRET_JWT_HS256, &mv->m.jwt_secret) == -1)
		return -1;
	if (store_import(mv->t->store, &mv->m, err) == 0)
		return 0;
	(void)tool_error("%s; nothing was imported",
	    tool_stopped() ? "interrupted" : err);
	return -1;
}

int
tool_import(struct tool *t, char **args)
{
	struct move *mv = move_new(t, "importing");
	char err[STORE_MOVE_ERR_SIZE] = "";
	int rc = -1;

	tool_catch_signals();
	if (store_import_look(args[0], &mv->m, err) == -1)
		(void)tool_error("%s", err);
	else if (tool_check_export(t, args[0]) == 0 && tool_connect(t) == 0) {
		if (t->link != NULL)
			(void)tool_error("stop the server first: an import is "
					 "one long transaction");
		else if ((rc = import_run(mv, args[0], err)) == -1) {
			/* Or a mistyped name would be a database now. */
			store_close_unused(t->store);
			t->store = NULL;
		}
	}
	if (rc == 0)
		(void)report(mv, args[0]);
	move_free(mv);
	return rc == 0 ? 0 : 1;
}
