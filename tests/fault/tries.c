/* SPDX-License-Identifier: MIT */
/*
 * preload_tries.so: lets a process that it is loaded into by LD_PRELOAD try
 * what a test wants to know of it, whenever SIGRTMIN + 3 comes.  FAULT_TRIES
 * holds the tries, a line each: a letter and what it is done with.  What came
 * of one is a line on standard error: "tried PID ERRNO LETTER NAME".
 *
 * r, w  opens a file to read, to write      c  makes a file, or opens it
 * u     unlinks a file                      d  opens a directory
 * m     moves a file to NAME.moved          s  makes a TCP socket
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TRIES_MAX 32
#define NAME_MAX_SIZE 512

static struct {
	char what;
	char name[NAME_MAX_SIZE];
	char moved[NAME_MAX_SIZE + 8];
} tries[TRIES_MAX];
static int ntries;

static int
try_it(int i)
{
	const char *name = tries[i].name;
	int rc;

	switch (tries[i].what) {
	case 'r':
		rc = open(name, O_RDONLY | O_CLOEXEC);
		break;
	case 'w':
		rc = open(name, O_RDWR | O_CLOEXEC);
		break;
	case 'c':
		rc = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		break;
	case 'd':
		rc = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		break;
	case 's':
		rc = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		break;
	case 'u':
		return unlink(name) == -1 ? errno : 0;
	case 'm':
		return rename(name, tries[i].moved) == -1 ? errno : 0;
	default:
		return EINVAL;
	}
	/* Not closed: that would drop SQLite's locks on the same file. */
	return rc == -1 ? errno : 0;
}

/* Stands in for code of an attacker's, so it may use what that may. */
static void
on_signal(int sig)
{
	char line[NAME_MAX_SIZE + 64];
	int saved = errno;

	(void)sig;
	for (int i = 0; i < ntries; i++) {
		int n, e = try_it(i);

		n = snprintf(line, sizeof(line), "tried %d %d %c %s\n",
		    (int)getpid(), e, tries[i].what, tries[i].name);
		if (write(STDERR_FILENO, line, (size_t)n) != n)
			abort();
	}
	errno = saved;
}

__attribute__((constructor)) static void
tries_load(void)
{
	const char *p = getenv("FAULT_TRIES");
	struct sigaction sa = { .sa_handler = on_signal,
		.sa_flags = SA_RESTART };

	while (p != NULL && *p != '\0') {
		size_t len = strcspn(p, "\n");

		if (ntries == TRIES_MAX || len < 2 || len >= NAME_MAX_SIZE)
			abort();
		tries[ntries].what = p[0];
		memcpy(tries[ntries].name, p + 1, len - 1);
		memcpy(tries[ntries].moved, p + 1, len - 1);
		memcpy(tries[ntries].moved + len - 1, ".moved", 6);
		ntries++;
		p += len;
		p += *p == '\n';
	}
	(void)sigaction(SIGRTMIN + 3, &sa, NULL);
}
