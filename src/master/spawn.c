/* SPDX-License-Identifier: MIT */
/*
 * fork and exec.  Runs in the master; between the two calls the child uses
 * async-signal-safe functions only.
 */
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/mem.h"
#include "../common/records.h"

#define SPAWN_FD0 3
#define SPAWN_FDS_MAX (LISTENERS_MAX + 8)

static bool
spawn_is_private(const char *variable)
{
	static const char *const names[] = { "MASTER_API_KEY=",
		"NOTIFY_SOCKET=", "WATCHDOG_PID=", "WATCHDOG_USEC=",
		"LISTEN_PID=", "LISTEN_FDS=", "LISTEN_FDNAMES=" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strncmp(variable, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

char **
spawn_environment(void)
{
	char **env;
	int n = 0, kept = 0;

	while (environ[n] != NULL)
		n++;
	env = mem_alloc((size_t)(n + 1) * sizeof(*env));
	for (int i = 0; i < n; i++)
		if (!spawn_is_private(environ[i]))
			env[kept++] = environ[i];
	return env;
}

/* Handlers must not run in the child: libevent's would write into the
 * master's own wake-up pipe. */
static void
spawn_signals(const sigset_t *mask)
{
	static const int ignored[] = { SIGTERM, SIGINT, SIGHUP, SIGPIPE };

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	sigprocmask(SIG_SETMASK, mask, NULL);
}

/* First out of the way, then into place: source and target may overlap. */
static int
spawn_place(const int *fds, unsigned nfds)
{
	int moved[SPAWN_FDS_MAX];

	for (unsigned i = 0; i < nfds; i++) {
		moved[i] = fcntl(fds[i], F_DUPFD, SPAWN_FD0 + (int)nfds);
		if (moved[i] == -1)
			return -1;
	}
	for (unsigned i = 0; i < nfds; i++)
		if (dup2(moved[i], SPAWN_FD0 + (int)i) == -1)
			return -1;
	/* What a caller's shell had left open; ours are close-on-exec. */
	close_range(SPAWN_FD0 + nfds, ~0U, 0);
	return 0;
}

pid_t
spawn(const char *exe, char *const argv[], char *const env[], const int *fds,
    unsigned nfds)
{
	static const char failed[] = "chatapi: cannot execute a program\n";
	sigset_t all, before;
	pid_t pid;
	int saved;

	if (nfds > SPAWN_FDS_MAX) {
		errno = EINVAL;
		return -1;
	}
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	pid = fork();
	if (pid == 0) {
		spawn_signals(&before);
		if (spawn_place(fds, nfds) == 0)
			execve(exe, argv, env);
		if (write(STDERR_FILENO, failed, sizeof(failed) - 1) == -1)
			_exit(126);
		_exit(127);
	}
	saved = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	errno = saved;
	return pid;
}
