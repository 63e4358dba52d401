/* SPDX-License-Identifier: MIT */
/*
 * Which files a child may still reach, and that it may not connect: Landlock,
 * by system calls of our own, since Debian 12 has no library for it and its
 * headers know only the first versions.  Numbers are those of the kernel's
 * documentation, userspace-api/landlock.
 *
 * A rule holds for one file, whatever its name becomes, or for a directory
 * and all below it.  So it is files that are named wherever the same one
 * stays while we run.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "config.h"
#include "confine.h"
#include "mem.h"
#include "secret.h"

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

#define RULESET_VERSION 1
#define RULE_PATH_BENEATH 1

#define FS_WRITE_FILE (UINT64_C(1) << 1)
#define FS_READ_FILE (UINT64_C(1) << 2)
#define FS_READ_DIR (UINT64_C(1) << 3)
#define FS_REMOVE_FILE (UINT64_C(1) << 5)
#define FS_MAKE_REG (UINT64_C(1) << 8)
#define FS_TRUNCATE (UINT64_C(1) << 14)
#define NET_BIND_TCP (UINT64_C(1) << 0)
#define NET_CONNECT_TCP (UINT64_C(1) << 1)
#define SCOPE_ALL UINT64_C(3) /* abstract sockets, signals */

#define READ (FS_READ_FILE | FS_READ_DIR)
#define CHANGE \
	(READ | FS_WRITE_FILE | FS_REMOVE_FILE | FS_MAKE_REG | FS_TRUNCATE)
/* All that means anything for a file that is no directory. */
#define OF_FILE (FS_READ_FILE | FS_WRITE_FILE | FS_TRUNCATE)

struct ruleset_attr {
	uint64_t fs;
	uint64_t net;    /* since 4 */
	uint64_t scoped; /* since 6 */
};

struct path_attr {
	uint64_t allowed;
	int32_t fd;
} __attribute__((packed));

struct ruleset {
	int fd;
	uint64_t fs; /* handled */
};

/* What each version can forbid: everything it knows. */
static uint64_t
fs_known(int abi)
{
	static const uint64_t known[] = { 0, (UINT64_C(1) << 13) - 1,
		(UINT64_C(1) << 14) - 1, (UINT64_C(1) << 15) - 1,
		(UINT64_C(1) << 15) - 1, (UINT64_C(1) << 16) - 1 };
	int last = (int)(sizeof(known) / sizeof(known[0])) - 1;

	return known[abi < last ? abi : last];
}

static int
ruleset_new(struct ruleset *r, int abi, uint64_t net)
{
	struct ruleset_attr attr = { .fs = fs_known(abi) };
	size_t size = sizeof(attr.fs);

	if (abi >= 4) {
		attr.net = net;
		size = offsetof(struct ruleset_attr, scoped);
	}
	if (abi >= 6) {
		attr.scoped = SCOPE_ALL;
		size = sizeof(attr);
	}
	r->fs = attr.fs;
	r->fd = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
	return r->fd == -1 ? -1 : 0;
}

/* What is not there needs no rule; of a file only what can be done to one. */
static int
allow(const struct ruleset *r, const char *path, uint64_t what)
{
	struct path_attr attr = { .allowed = what & r->fs };
	struct stat st;
	int rc, saved;

	attr.fd = open(path, O_PATH | O_CLOEXEC);
	if (attr.fd == -1)
		return errno == ENOENT || errno == EACCES ? 0 : -1;
	if (fstat(attr.fd, &st) == 0 && !S_ISDIR(st.st_mode))
		attr.allowed &= OF_FILE;
	rc = (int)syscall(SYS_landlock_add_rule, r->fd, RULE_PATH_BENEATH,
	    &attr, 0);
	saved = errno;
	(void)close(attr.fd);
	errno = saved;
	return rc;
}

/* The directory in which that file is or would be. */
static int
allow_directory(const struct ruleset *r, const char *path, uint64_t what)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash == NULL ? mem_strdup(".") :
	    slash == path         ? mem_strdup("/") :
				    mem_strndup(path, (size_t)(slash - path));
	int rc = allow(r, dir, what);

	free(dir);
	return rc;
}

/* New memory: a name beside the database's real file. */
static char *
beside(const char *database, const char *suffix)
{
	char *real = realpath(database, NULL), *path;

	if (asprintf(&path, "%s%s", real != NULL ? real : database, suffix) ==
	    -1)
		abort();
	free(real);
	return path;
}

static int
allow_beside(const struct ruleset *r, const char *database, const char *suffix,
    uint64_t what)
{
	char *path = beside(database, suffix);
	int rc = allow(r, path, what);

	free(path);
	return rc;
}

/*
 * All of SQLite's files are there and stay, so each has its own rule.  A
 * reader of a WAL database notes in the index what it reads.  The writer
 * syncs the directory in which the log is, and makes copies in their own one.
 */
static int
allow_database(const struct ruleset *r, enum role role, const char *db)
{
	bool writes = role == ROLE_WRITER;
	uint64_t what = writes ? OF_FILE : FS_READ_FILE;
	char *real;
	int rc;

	if (allow_beside(r, db, "", what) == -1 ||
	    allow_beside(r, db, "-wal", what) == -1 ||
	    allow_beside(r, db, "-shm", OF_FILE) == -1)
		return -1;
	if (!writes)
		return 0;
	real = beside(db, "");
	rc = allow_directory(r, real, FS_READ_DIR);
	free(real);
	return rc == 0 ? allow_beside(r, db, DSN_STAGING_SUFFIX, CHANGE) : -1;
}

/* A rule can only name what is there: while the directory is not, the nearest
 * one above stands for it, until the next start; but not all of them. */
static int
allow_missing(const struct ruleset *r, const char *path, uint64_t what)
{
	char *dir = mem_strdup(path), *slash;
	bool missing = false;
	int rc = 0;

	while ((slash = strrchr(dir, '/')) != NULL && slash != dir) {
		*slash = '\0';
		if (access(dir, F_OK) == 0 || errno != ENOENT)
			break;
		missing = true;
	}
	if (missing && slash != NULL && slash != dir)
		rc = allow(r, dir, what);
	free(dir);
	return rc;
}

/* Where it is missing or cannot be used, it is one that the operator has to
 * put back or to make a place for: while we run, if he likes. */
static int
allow_key(const struct ruleset *r, enum role role, const struct config *c)
{
	uint64_t what = role == ROLE_WRITER ? CHANGE : READ;
	char *path = c->key_file != NULL ? mem_strdup(c->key_file) :
					   beside(c->dsn.path, SECRET_SUFFIX);
	int rc;

	if (access(path, F_OK) == 0 || errno != ENOENT)
		rc = allow(r, path, FS_READ_FILE);
	else if ((rc = allow_missing(r, path, what)) == 0)
		rc = allow_directory(r, path, what);
	free(path);
	return rc;
}

/*
 * Name service and certificates of authorities, and nothing else of
 * /etc and /usr/local/etc, where keys and our own settings may be.
 */
static int
allow_network(const struct ruleset *r)
{
	static const char *const paths[] = { "/usr/lib", "/usr/lib64",
		"/usr/share", "/usr/local/lib", "/usr/local/share", "/lib",
		"/lib64", "/etc/resolv.conf", "/etc/hosts",
		"/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf",
		"/etc/services", "/etc/protocols", "/etc/passwd",
		"/etc/localtime", "/etc/ld.so.cache", "/etc/ssl/certs",
		"/etc/ssl/openssl.cnf", "/etc/ca-certificates",
		"/etc/pki/tls/certs", "/etc/pki/tls/openssl.cnf",
		"/etc/pki/ca-trust/extracted", "/etc/crypto-policies",
		"/run/systemd/resolve", "/run/resolvconf",
		"/run/NetworkManager", "/run/connman" };

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		if (allow(r, paths[i], READ) == -1)
			return -1;
	return 0;
}

static int
allow_role(const struct ruleset *r, enum role role, const struct config *c,
    bool has_keys)
{
	if (allow_database(r, role, c->dsn.path) == -1 ||
	    (!has_keys && allow_key(r, role, c) == -1))
		return -1;
	if (role == ROLE_WORKER)
		return allow(r, "/dev/null", OF_FILE);
	return role == ROLE_COURIER ? allow_network(r) : 0;
}

int
confine_files(enum role role, const struct config *config, bool has_keys)
{
	uint64_t net = NET_BIND_TCP;
	struct ruleset r;
	int abi, rc, saved;

	abi = (int)syscall(SYS_landlock_create_ruleset, NULL, (size_t)0,
	    RULESET_VERSION);
	if (abi < 1)
		return abi == -1 && errno != ENOSYS && errno != EOPNOTSUPP ?
		    -1 :
		    0;
	if (role != ROLE_COURIER)
		net |= NET_CONNECT_TCP;
	if (ruleset_new(&r, abi, net) == -1)
		return -1;
	rc = allow_role(&r, role, config, has_keys);
	if (rc == 0)
		rc = (int)syscall(SYS_landlock_restrict_self, r.fd, 0);
	saved = errno;
	(void)close(r.fd);
	errno = saved;
	return rc == 0 ? abi : -1;
}
