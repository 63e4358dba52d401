/* SPDX-License-Identifier: MIT */
/*
 * Changes of user, and what that user cannot reach.  Run by the master at its
 * start and by operator's commands; never by a process that serves clients.
 */
#include "identity.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dsn.h"
#include "mem.h"
#include "secret.h"

#define PASSWD_TEXT 16384

/* Takes the user's name from its number; the number, if it has none. */
static void
identity_name(struct identity *id)
{
	char *text = mem_alloc(PASSWD_TEXT);
	struct passwd pw, *found = NULL;

	if (getpwuid_r(id->uid, &pw, text, PASSWD_TEXT, &found) == 0 &&
	    found != NULL)
		(void)snprintf(id->name, sizeof(id->name), "%s", pw.pw_name);
	else
		(void)snprintf(id->name, sizeof(id->name), "%u",
		    (unsigned)id->uid);
	free(text);
}

void
identity_self(struct identity *id)
{
	id->uid = geteuid();
	id->gid = getegid();
	identity_name(id);
}

int
identity_find(struct identity *id, const char *name, char *err, size_t errsize)
{
	char *text = mem_alloc(PASSWD_TEXT);
	struct passwd pw, *found = NULL;
	int rc = getpwnam_r(name, &pw, text, PASSWD_TEXT, &found);

	if (found != NULL) {
		id->uid = pw.pw_uid;
		id->gid = pw.pw_gid;
		(void)snprintf(id->name, sizeof(id->name), "%s", name);
	} else if (rc != 0)
		(void)snprintf(err, errsize, "cannot look up user %.64s: %s",
		    name, strerror(rc));
	else
		(void)snprintf(err, errsize, "there is no user %.64s", name);
	free(text);
	return found != NULL ? 0 : -1;
}

char *
identity_directory(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return mem_strdup(".");
	return slash == path ? mem_strdup("/") :
			       mem_strndup(path, (size_t)(slash - path));
}

int
identity_owner(struct identity *id, const char *path)
{
	struct stat st;
	char *dir;
	int rc;

	if (stat(path, &st) == -1) {
		dir = identity_directory(path);
		rc = stat(dir, &st);
		free(dir);
		if (rc == -1)
			return -1;
	}
	id->uid = st.st_uid;
	id->gid = st.st_gid;
	identity_name(id);
	return 0;
}

/* A number without a name has no groups but its own. */
static int
identity_groups(const struct identity *id)
{
	if (id->name[0] >= '0' && id->name[0] <= '9')
		return setgroups(1, &id->gid);
	return initgroups(id->name, id->gid);
}

int
identity_become(const struct identity *id)
{
	if (identity_groups(id) == -1 || setegid(id->gid) == -1)
		return -1;
	return seteuid(id->uid);
}

void
identity_back(void)
{
	const gid_t group = 0;

	if (seteuid(0) == -1 || setegid(0) == -1 || setgroups(1, &group) == -1)
		abort();
}

int
identity_drop(const struct identity *id)
{
	if (identity_groups(id) == -1 ||
	    setresgid(id->gid, id->gid, id->gid) == -1 ||
	    setresuid(id->uid, id->uid, id->uid) == -1)
		return -1;
	if (id->uid != 0 && setuid(0) == 0) {
		errno = EPERM;
		return -1;
	}
	return 0;
}

/* ---- what it can reach ---- */

static int
identity_check(const struct identity *id, const char *path, int mode,
    const char *what, char *err, size_t errsize)
{
	if (faccessat(AT_FDCWD, path, mode, AT_EACCESS) == 0 || errno == ENOENT)
		return 0;
	(void)snprintf(err, errsize, "user %s cannot %s %s: %s", id->name, what,
	    path, strerror(errno));
	return -1;
}

static int
identity_check_beside(const struct identity *id, const char *database,
    const char *suffix, int mode, const char *what, char *err, size_t errsize)
{
	char *path;
	int rc;

	if (asprintf(&path, "%s%s", database, suffix) == -1)
		abort();
	rc = identity_check(id, path, mode, what, err, errsize);
	free(path);
	return rc;
}

int
identity_check_files(const struct identity *id, const char *database,
    const char *key_file, char *err, size_t errsize)
{
	static const char *const written[] = { "", "-wal", "-shm", "-lock" };
	char *real = realpath(database, NULL);
	const char *base = real != NULL ? real : database;
	char *dir = identity_directory(base);
	int rc;

	rc = access(dir, F_OK);
	if (rc == -1 && errno == ENOENT)
		(void)snprintf(err, errsize,
		    "there is no directory %s for the database %s", dir, base);
	else
		rc = identity_check(id, dir, W_OK | X_OK,
		    "make files in directory", err, errsize);
	for (size_t i = 0; rc == 0 && i < sizeof(written) / sizeof(written[0]);
	     i++)
		rc = identity_check_beside(id, base, written[i], R_OK | W_OK,
		    "read and write", err, errsize);
	if (rc == 0)
		rc = identity_check_beside(id, base, DSN_STAGING_SUFFIX,
		    R_OK | W_OK | X_OK, "make files in directory", err,
		    errsize);
	if (rc == 0 && key_file != NULL)
		rc = identity_check(id, key_file, R_OK, "read key file", err,
		    errsize);
	else if (rc == 0)
		rc = identity_check_beside(id, base, SECRET_SUFFIX, R_OK,
		    "read key file", err, errsize);
	free(dir);
	free(real);
	return rc;
}
