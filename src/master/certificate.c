/* SPDX-License-Identifier: MIT */
/*
 * The certificate on its way from files to workers.  Runs in the master,
 * which hands on the files' bytes and parses none of them: whether they are
 * good is found out by a child process that ends at once.
 */
#include "certificate.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../common/config.h"
#include "../common/link.h"
#include "../common/log.h"
#include "../common/records.h"
#include "../common/tls_context.h"
#include "../common/tls_pair.h"
#include "child.h"
#include "master.h"

/* Never returns: says what is wrong, if anything, on fd. */
static void
try_child(const struct tls_pair *p, int fd)
{
	char err[400];

	if (tls_context_new(p, err, sizeof(err)) != NULL)
		_exit(0);
	if (write(fd, err, strlen(err)) == -1)
		_exit(2);
	_exit(1);
}

/* Until the child closes its end. */
static size_t
read_reason(int fd, char *to, size_t size)
{
	size_t len = 0;

	while (len < size - 1) {
		ssize_t n = read(fd, to + len, size - 1 - len);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	to[len] = '\0';
	return len;
}

static int
try_pair(const struct tls_pair *p, char *err, size_t errsize)
{
	sigset_t all, before;
	int fds[2], status = -1;
	size_t len;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) == -1) {
		snprintf(err, errsize, "cannot look at the certificate: %s",
		    strerror(errno));
		return -1;
	}
	/* libevent's handlers would tell the master of its signals. */
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	pid = fork();
	if (pid == 0)
		try_child(p, fds[1]);
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(fds[1]);
	len = read_reason(fds[0], err, errsize);
	close(fds[0]);
	while (pid != -1 && waitpid(pid, &status, 0) == -1 && errno == EINTR)
		continue;
	if (pid != -1 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (len == 0)
		snprintf(err, errsize, "cannot look at the certificate");
	return -1;
}

/* Puts the files' names behind the sentence. */
static void
name_files(const struct config *c, char *err, size_t errsize)
{
	size_t len = strlen(err);

	snprintf(err + len, errsize - len, " (TLS_CERT is %s, TLS_KEY is %s)",
	    c->tls_cert, c->tls_key);
}

static int
read_pair(const struct config *c, struct tls_pair *p, char *err, size_t errsize)
{
	if (tls_pair_read(p, c->tls_cert, c->tls_key, err, errsize) == -1)
		return -1;
	if (try_pair(p, err, errsize) == 0)
		return 0;
	name_files(c, err, errsize);
	tls_pair_free(p);
	return -1;
}

int
certificate_check(const struct config *c, char *err, size_t errsize)
{
	struct tls_pair p;

	if (c->tls_cert == NULL)
		return 0;
	if (read_pair(c, &p, err, errsize) == -1)
		return -1;
	tls_pair_free(&p);
	return 0;
}

int
certificate_load(struct master *m, char *err, size_t errsize)
{
	struct tls_pair p;
	int fd;

	if (m->config->tls_cert == NULL)
		return 0;
	if (read_pair(m->config, &p, err, errsize) == -1)
		return -1;
	fd = tls_pair_seal(&p);
	tls_pair_free(&p);
	if (fd == -1) {
		snprintf(err, errsize, "cannot hand on the certificate: %s",
		    strerror(errno));
		return -1;
	}
	if (m->certificate_fd != -1)
		(void)close(m->certificate_fd);
	m->certificate_fd = fd;
	return 0;
}

void
certificate_send(struct child *worker)
{
	int fd = worker->m->certificate_fd;

	if (fd == -1 || worker->link == NULL ||
	    rec_empty_put(link_out(worker->link), REC_CERTIFICATE) == -1)
		return;
	link_send_fd(worker->link, fd);
	link_push(worker->link);
}

/* Both are small and sealed. */
static bool
same_bytes(int a, int b)
{
	char x[4096], y[sizeof(x)];
	off_t at = 0;
	ssize_t n;

	do {
		n = pread(a, x, sizeof(x), at);
		if (n == -1 || pread(b, y, sizeof(y), at) != n ||
		    memcmp(x, y, (size_t)n) != 0)
			return false;
		at += n;
	} while (n > 0);
	return true;
}

int
certificate_reload(struct master *m, char *err, size_t errsize)
{
	char quoted[1400];
	int old, rc;

	if (m->certificate_fd == -1)
		return 0;
	if (m->config->tls_cert == NULL) {
		log_warn("TLS goes on with the old certificate until a restart",
		    NULL);
		return 0;
	}
	old = fcntl(m->certificate_fd, F_DUPFD_CLOEXEC, 3);
	rc = certificate_load(m, err, errsize);
	if (rc == -1)
		log_error("certificate refused, the old one stays", "error=%s",
		    log_quote(quoted, sizeof(quoted), err, strlen(err)));
	else {
		log_info("certificate read again", NULL);
		rc = old == -1 || !same_bytes(old, m->certificate_fd);
	}
	if (old != -1)
		(void)close(old);
	return rc;
}
