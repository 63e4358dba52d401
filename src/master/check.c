/* SPDX-License-Identifier: MIT */
/*
 * chatapi -t, once all settings have been understood: do the things that
 * they name exist, and can the server's user reach them?  A process of its
 * own that ends at once; it changes nothing.
 */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/config.h"
#include "../common/config_values.h"
#include "../common/identity.h"
#include "../common/secret.h"
#include "certificate.h"

#define ERR_SIZE 600

static void
check_warn(const char *text)
{
	(void)fprintf(stderr, "chatapi: warning: %s\n", text);
}

/*
 * Whom the server would serve as.  1 he can be asked for what he reaches, 0
 * only root could do that, -1 with a sentence.  Which user starts it a service
 * manager may decide, so that is no reason to refuse.
 */
static int
check_user(const struct config *c, struct identity *id, char *err)
{
	char text[ERR_SIZE];

	if (c->user == NULL) {
		if (geteuid() == 0)
			check_warn("root must name a user to serve as, with "
				   "--user NAME or `user' in the file");
		identity_self(id);
		return 1;
	}
	if (identity_find(id, c->user, err, ERR_SIZE) == -1)
		return -1;
	if (geteuid() == 0 || geteuid() == id->uid)
		return 1;
	(void)snprintf(text, sizeof(text),
	    "only root can look at the files as user %s does", id->name);
	check_warn(text);
	return 0;
}

static int
check_database(const struct config *c, const struct identity *id, char *err)
{
	struct stat st;

	if (identity_check_files(id, c->dsn.path, c->key_file, err, ERR_SIZE))
		return -1;
	if (stat(c->dsn.path, &st) == -1 || S_ISREG(st.st_mode))
		return 0;
	(void)snprintf(err, ERR_SIZE, "the database %.400s is no file",
	    c->dsn.path);
	return -1;
}

/* The key file is needed only once there is a secret. */
static void
check_key_file(const struct config *c, const struct identity *id)
{
	struct secrets *s = secret_new(c->key_file, c->dsn.path);
	char err[ERR_SIZE], text[2 * ERR_SIZE];
	char *dir = identity_directory(secret_path(s));

	switch (secret_load(s, err, sizeof(err))) {
	case SECRET_NO_FILE:
		if (access(dir, F_OK) == -1)
			(void)snprintf(text, sizeof(text),
			    "there is no directory %.500s for the key file",
			    dir);
		else if (faccessat(AT_FDCWD, dir, W_OK | X_OK, AT_EACCESS))
			(void)snprintf(text, sizeof(text),
			    "user %s cannot make the key file in %.500s: %s",
			    id->name, dir, strerror(errno));
		else
			break;
		check_warn(text);
		break;
	case SECRET_BAD_FILE:
		check_warn(err);
		break;
	default:
		break;
	}
	free(dir);
	secret_free(s);
}

static int
check_program(const struct identity *id, char *err)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (n <= 0) {
		(void)snprintf(err, ERR_SIZE, "/proc is not mounted");
		return -1;
	}
	path[n] = '\0';
	if (faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0)
		return 0;
	(void)snprintf(err, ERR_SIZE, "user %s cannot execute %.400s: %s",
	    id->name, path, strerror(errno));
	return -1;
}

/* All that must be reached as the server's user. */
static int
check_as(const struct config *c, const struct identity *id, char *err)
{
	bool change = id->uid != geteuid();
	int rc;

	if (change && identity_become(id) == -1) {
		(void)snprintf(err, ERR_SIZE, "cannot become user %s: %s",
		    id->name, strerror(errno));
		return -1;
	}
	rc = check_database(c, id, err);
	if (rc == 0)
		rc = check_program(id, err);
	if (rc == 0)
		check_key_file(c, id);
	if (change)
		identity_back();
	return rc;
}

/* A service manager may make them just before the start. */
static void
check_sockets(char *const *addresses, int n)
{
	for (int i = 0; i < n; i++) {
		unsigned mode;
		char *path = config_unix_path(addresses[i], &mode), *dir;
		char text[ERR_SIZE];

		if (path == NULL)
			continue;
		dir = identity_directory(path);
		if (access(dir, F_OK) == -1) {
			(void)snprintf(text, sizeof(text),
			    "there is no directory %s for the socket", dir);
			check_warn(text);
		}
		free(dir);
		free(path);
	}
}

int
check_main(struct config *c)
{
	struct identity id;
	char err[ERR_SIZE];
	int rc = check_user(c, &id, err);

	if (rc == 1)
		rc = check_as(c, &id, err);
	if (rc == 0)
		rc = certificate_check(c, err, sizeof(err));
	check_sockets(c->listen, c->nlisten);
	check_sockets(c->tls_listen, c->ntls_listen);
	config_free(c);
	if (rc == -1)
		return fprintf(stderr, "chatapi: %s\n", err), 2;
	return puts("the configuration is sound") == EOF;
}
