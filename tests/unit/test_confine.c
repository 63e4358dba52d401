/* SPDX-License-Identifier: MIT */
/* What each role may still do once it is confined: all of it is tried, in a
 * process of its own. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/config.h"
#include "common/confine.h"

#ifndef SYS_io_uring_setup
#define SYS_io_uring_setup 425
#endif

/* Each file is in one of three directories below it: data, keys, other. */
static char top[] = "/tmp/chatapi-confine-XXXXXX";
static struct config c;
static int listening;

static int
result(int rc)
{
	return rc == -1 ? errno : 0;
}

static const char *
in_top(const char *name)
{
	static char path[200];

	(void)snprintf(path, sizeof(path), "%s/%s", top, name);
	return path;
}

static int
opened(const char *name, int flags)
{
	int fd = open(in_top(name), flags, 0600), e = result(fd);

	if (fd != -1)
		close(fd);
	return e;
}

/* ---- what is tried: 0, or the errno of its refusal ---- */

static int
read_db(void)
{
	return opened("data/db", O_RDONLY);
}

static int
write_db(void)
{
	return opened("data/db", O_RDWR);
}

static int
truncate_db(void)
{
	return result(truncate(in_top("data/db"), 0));
}

static int
write_wal(void)
{
	return opened("data/db-wal", O_RDWR);
}

static int
write_shm(void)
{
	return opened("data/db-shm", O_RDWR | O_CREAT);
}

static int
make_beside(void)
{
	int e = opened("data/db-new", O_RDWR | O_CREAT | O_EXCL);

	if (e == 0)
		e = result(unlink(in_top("data/db-new")));
	return e;
}

static int
remove_db(void)
{
	char from[200];

	(void)snprintf(from, sizeof(from), "%s", in_top("data/db"));
	return result(rename(from, in_top("other/db")));
}

static int
read_key(void)
{
	return opened("data/db-secrets", O_RDONLY);
}

static int
read_other_key(void)
{
	return opened("keys/key", O_RDONLY);
}

static int
write_other_key(void)
{
	return opened("keys/key", O_WRONLY | O_CREAT);
}

static int
read_other(void)
{
	return opened("other/file", O_RDONLY);
}

static int
write_other(void)
{
	return opened("other/file", O_WRONLY);
}

static int
make_other(void)
{
	return opened("other/new", O_WRONLY | O_CREAT);
}

static int
read_resolver(void)
{
	int fd = open("/etc/nsswitch.conf", O_RDONLY), e = result(fd);

	if (fd != -1)
		close(fd);
	return e == ENOENT ? 0 : e;
}

static int
socket_of(int family, int type)
{
	int fd = socket(family, type, 0), e = result(fd);

	if (fd != -1)
		close(fd);
	return e;
}

static int
tcp_socket(void)
{
	return socket_of(AF_INET, SOCK_STREAM);
}

static int
udp6_socket(void)
{
	/* A kernel without IPv6 says so behind the filter. */
	int e = socket_of(AF_INET6, SOCK_DGRAM);

	return e == EAFNOSUPPORT ? 0 : e;
}

static int
packet_socket(void)
{
	return socket_of(AF_PACKET, SOCK_RAW);
}

static int
unix_socket(void)
{
	return socket_of(AF_UNIX, SOCK_STREAM);
}

static int
vsock_socket(void)
{
	return socket_of(AF_VSOCK, SOCK_STREAM);
}

/* By a socket that was there before. */
static int inherited = -1;

static int
tcp_connect(void)
{
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);

	if (getsockname(listening, (struct sockaddr *)&sa, &len) == -1)
		return EBADF;
	return result(connect(inherited, (struct sockaddr *)&sa, len));
}

static int
tcp_bind(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	return result(bind(inherited, (struct sockaddr *)&sa, sizeof(sa)));
}

static int
execute(void)
{
	char *argv[] = { "true", NULL };
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		execve("/bin/true", argv, argv + 1);
		_exit(errno);
	}
	if (pid == -1 || waitpid(pid, &status, 0) == -1)
		return errno;
	return WEXITSTATUS(status);
}

static int
trace(void)
{
	return result((int)ptrace(PTRACE_SEIZE, getppid(), NULL, NULL));
}

static int
signal_parent(void)
{
	return result(kill(getppid(), 0));
}

static int
mount_something(void)
{
	return result(mount("none", in_top("other"), "tmpfs", 0, NULL));
}

static int
new_user(void)
{
	return result(unshare(CLONE_NEWUSER));
}

static int
become_root(void)
{
	return result(setuid(0));
}

static int
code(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? errno : 0;
}

static int
code_later(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ?
	    0 :
	    result(mprotect(p, 4096, PROT_READ | PROT_EXEC));
}

static int
io_ring(void)
{
	return result((int)syscall(SYS_io_uring_setup, 0, NULL));
}

static void *
thread_main(void *arg)
{
	return arg;
}

static int
thread(void)
{
	pthread_t t;
	int rc = pthread_create(&t, NULL, thread_main, NULL);

	return rc == 0 ? pthread_join(t, NULL) : rc;
}

/* What a failed assertion does. */
static int
signal_self(void)
{
	signal(SIGUSR1, SIG_IGN);
	return result(raise(SIGUSR1));
}

enum half { FILES = 1, NET = 4, SCOPE = 6, CALLS = 100 };

/* Whom it is refused with what; 0 = may. */
static const struct {
	const char *what;
	int (*fn)(void);
	enum half half; /* the Landlock ABI it takes, or CALLS */
	int worker, writer, courier;
} tries[] = {
#define TRY(fn) #fn, fn
	{ TRY(read_db), FILES, 0, 0, 0 },
	{ TRY(write_db), FILES, EACCES, 0, EACCES },
	{ TRY(truncate_db), 3, EACCES, 0, EACCES },
	{ TRY(write_wal), FILES, EACCES, 0, EACCES },
	{ TRY(write_shm), FILES, 0, 0, 0 },
	{ TRY(make_beside), FILES, EACCES, 0, EACCES },
	{ TRY(remove_db), FILES, EACCES, EACCES, EACCES },
	{ TRY(read_key), FILES, 0, 0, 0 },
	{ TRY(read_other_key), FILES, 0, 0, 0 },
	{ TRY(write_other_key), FILES, EACCES, EACCES, EACCES },
	{ TRY(read_other), FILES, EACCES, EACCES, EACCES },
	{ TRY(write_other), FILES, EACCES, EACCES, EACCES },
	{ TRY(make_other), FILES, EACCES, EACCES, EACCES },
	{ TRY(read_resolver), FILES, EACCES, EACCES, 0 },
	{ TRY(tcp_bind), NET, EACCES, EACCES, EACCES },
	{ TRY(tcp_connect), NET, EACCES, EACCES, 0 },
	{ TRY(tcp_socket), CALLS, EPERM, EPERM, 0 },
	{ TRY(udp6_socket), CALLS, EPERM, EPERM, 0 },
	{ TRY(packet_socket), CALLS, EPERM, EPERM, EPERM },
	{ TRY(vsock_socket), CALLS, EPERM, EPERM, EPERM },
	{ TRY(unix_socket), CALLS, 0, 0, 0 },
	{ TRY(execute), CALLS, EPERM, EPERM, EPERM },
	{ TRY(trace), CALLS, EPERM, EPERM, EPERM },
	{ TRY(signal_parent), CALLS, EPERM, EPERM, EPERM },
	{ TRY(mount_something), CALLS, EPERM, EPERM, EPERM },
	{ TRY(new_user), CALLS, EPERM, EPERM, EPERM },
	{ TRY(become_root), CALLS, EPERM, EPERM, EPERM },
	{ TRY(code), CALLS, EPERM, EPERM, EPERM },
	{ TRY(code_later), CALLS, EPERM, EPERM, EPERM },
	{ TRY(io_ring), CALLS, EPERM, EPERM, EPERM },
	{ TRY(thread), CALLS, 0, 0, 0 },
	{ TRY(signal_self), CALLS, 0, 0, 0 },
};
#define NTRIES (sizeof(tries) / sizeof(tries[0]))

/* ---- trying it ---- */

/* How much of it a kernel can do. */
static int files, calls;

static void
in_child(enum role role, int (*fn)(void), int *got)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		inherited = socket(AF_INET, SOCK_STREAM, 0);
		(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (role != ROLE_MASTER &&
		    (confine_files(role, &c) == -1 ||
			confine_calls(role) == -1))
			_exit(254);
		_exit(fn());
	}
	assert_int_not_equal(pid, -1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status))
		fail_msg("ended by signal %d", WTERMSIG(status));
	*got = WEXITSTATUS(status);
}

static void
test_role(enum role role, const char *name)
{
	int got;

	for (size_t i = 0; i < NTRIES; i++) {
		int want = role == ROLE_WORKER ? tries[i].worker :
		    role == ROLE_WRITER        ? tries[i].writer :
						 tries[i].courier;

		if (tries[i].half == CALLS ? calls == 0 :
					     files < (int)tries[i].half)
			continue;
		in_child(role, tries[i].fn, &got);
		if (got != want)
			fail_msg("%s, %s: %s instead of %s", name,
			    tries[i].what, strerror(got), strerror(want));
	}
}

static void
test_worker(void **state)
{
	(void)state;
	test_role(ROLE_WORKER, "worker");
}

static void
test_writer(void **state)
{
	(void)state;
	test_role(ROLE_WRITER, "writer");
}

static void
test_courier(void **state)
{
	(void)state;
	test_role(ROLE_COURIER, "courier");
}

/* Or the table would prove nothing. */
static void
test_unconfined(void **state)
{
	static int (*const fns[])(void) = { write_db, write_wal, make_beside,
		read_other, write_other, tcp_socket, tcp_connect, execute,
		signal_parent, code, code_later };
	int got;

	(void)state;
	for (size_t i = 0; i < sizeof(fns) / sizeof(fns[0]); i++) {
		in_child(ROLE_MASTER, fns[i], &got);
		assert_int_equal(got, 0);
	}
}

/* The writer makes the key file where there is none, the others never. */
static void
test_missing_key_file(void **state)
{
	int got;

	(void)state;
	if (files == 0)
		skip();
	assert_int_equal(unlink(in_top("keys/key")), 0);
	in_child(ROLE_WORKER, write_other_key, &got);
	assert_int_equal(got, EACCES);
	in_child(ROLE_COURIER, write_other_key, &got);
	assert_int_equal(got, EACCES);
	in_child(ROLE_WRITER, write_other_key, &got);
	assert_int_equal(got, 0);
}

/* ---- the place ---- */

static int
probe_files(void)
{
	return confine_files(ROLE_WORKER, &c);
}

static int
probe_calls(void)
{
	return confine_calls(ROLE_WORKER);
}

static int
setup(void **state)
{
	static const char *const made[] = { "data/db", "data/db-wal",
		"data/db-shm", "data/db-secrets", "keys/key", "other/file" };
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	(void)state;
	if (mkdtemp(top) == NULL || mkdir(in_top("data"), 0700) == -1 ||
	    mkdir(in_top("keys"), 0700) == -1 ||
	    mkdir(in_top("other"), 0700) == -1)
		return -1;
	for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++)
		if (opened(made[i], O_RDWR | O_CREAT) != 0)
			return -1;
	(void)snprintf(c.dsn.path, sizeof(c.dsn.path), "%s", in_top("data/db"));
	c.key_file = strdup(in_top("keys/key"));
	listening = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(listening, (struct sockaddr *)&sa, sizeof(sa)) == -1 ||
	    listen(listening, 64) == -1)
		return -1;
	in_child(ROLE_MASTER, probe_files, &files);
	in_child(ROLE_MASTER, probe_calls, &calls);
	print_message("landlock %d, seccomp %d\n", files, calls);
	return 0;
}

static int
teardown(void **state)
{
	static const char *const names[] = { "data/db", "data/db-wal",
		"data/db-shm", "data/db-secrets", "keys/key", "other/file",
		"other/new" };
	static const char *const dirs[] = { "data", "keys", "other", "" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		(void)unlink(in_top(names[i]));
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		(void)rmdir(in_top(dirs[i]));
	free(c.key_file);
	close(listening);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unconfined),
		cmocka_unit_test(test_worker),
		cmocka_unit_test(test_writer),
		cmocka_unit_test(test_courier),
		cmocka_unit_test(test_missing_key_file),
	};

	return cmocka_run_group_tests_name("confine", tests, setup, teardown);
}
