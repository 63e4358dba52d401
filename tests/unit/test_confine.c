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

/* Each file is in one of these directories below it: data, where a key of
 * TLS is beside the database, data/db-staging, keys, other. */
static char top[] = "/tmp/chatapi-confine-XXXXXX";
static struct config c;
/* As a process has that could read its file. */
static bool has_keys = true;
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
read_wal(void)
{
	return opened("data/db-wal", O_RDONLY);
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
made(const char *name)
{
	int e = opened(name, O_RDWR | O_CREAT | O_EXCL);

	if (e == 0)
		e = result(unlink(in_top(name)));
	return e;
}

static int
make_beside(void)
{
	return made("data/db-new");
}

static int
make_copy(void)
{
	return made("data/db-staging/0123456789abcdef");
}

static int
list_beside(void)
{
	return opened("data", O_RDONLY | O_DIRECTORY);
}

static int
renamed(const char *name, const char *to)
{
	char from[200];

	(void)snprintf(from, sizeof(from), "%s", in_top(name));
	return result(rename(from, in_top(to)));
}

static int
remove_db(void)
{
	return renamed("data/db", "other/db");
}

static int
rename_db(void)
{
	return renamed("data/db", "data/db-away");
}

static int
remove_wal(void)
{
	return result(unlink(in_top("data/db-wal")));
}

static int
read_beside(void)
{
	return opened("data/tls.key", O_RDONLY);
}

static int
write_beside(void)
{
	return opened("data/tls.key", O_WRONLY);
}

static int
truncate_beside(void)
{
	return result(truncate(in_top("data/tls.key"), 0));
}

static int
remove_beside(void)
{
	return result(unlink(in_top("data/tls.key")));
}

static int
replace_beside(void)
{
	return renamed("data/db-staging/copy", "data/tls.key");
}

static int
read_default_key(void)
{
	return opened("data/db-secrets", O_RDONLY);
}

static int
write_default_key(void)
{
	return opened("data/db-secrets", O_WRONLY | O_CREAT);
}

static int
read_key(void)
{
	return opened("keys/key", O_RDONLY);
}

static int
write_key(void)
{
	return opened("keys/key", O_WRONLY | O_CREAT);
}

static int
remove_key(void)
{
	return result(unlink(in_top("keys/key")));
}

static int
read_key_beside(void)
{
	return opened("keys/tls.key", O_RDONLY);
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

/* What this machine does not have is no refusal. */
static int
read_system(const char *path)
{
	int fd = open(path, O_RDONLY), e = result(fd);

	if (fd != -1)
		close(fd);
	return e == ENOENT ? 0 : e;
}

static int
read_resolver(void)
{
	int e = read_system("/etc/resolv.conf");

	return e != 0 ? e : read_system("/etc/nsswitch.conf");
}

static int
read_authorities(void)
{
	return read_system("/etc/ssl/certs");
}

/* As our own settings are, and keys may be. */
static int
read_settings(void)
{
	return read_system("/etc/group");
}

static int
read_programs(void)
{
	return read_system("/usr/bin/env");
}

static int
list_settings(void)
{
	return read_system("/etc");
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
	{ TRY(read_wal), FILES, 0, 0, 0 },
	{ TRY(write_wal), FILES, EACCES, 0, EACCES },
	{ TRY(write_shm), FILES, 0, 0, 0 },
	{ TRY(make_beside), FILES, EACCES, EACCES, EACCES },
	{ TRY(make_copy), FILES, EACCES, 0, EACCES },
	{ TRY(list_beside), FILES, EACCES, 0, EACCES },
	{ TRY(remove_db), FILES, EACCES, EACCES, EACCES },
	{ TRY(rename_db), FILES, EACCES, EACCES, EACCES },
	{ TRY(remove_wal), FILES, EACCES, EACCES, EACCES },
	{ TRY(read_beside), FILES, EACCES, EACCES, EACCES },
	{ TRY(write_beside), FILES, EACCES, EACCES, EACCES },
	{ TRY(truncate_beside), 3, EACCES, EACCES, EACCES },
	{ TRY(remove_beside), FILES, EACCES, EACCES, EACCES },
	{ TRY(replace_beside), FILES, EACCES, EACCES, EACCES },
	{ TRY(read_default_key), FILES, EACCES, EACCES, EACCES },
	{ TRY(read_key), FILES, EACCES, EACCES, EACCES },
	{ TRY(write_key), FILES, EACCES, EACCES, EACCES },
	{ TRY(remove_key), FILES, EACCES, EACCES, EACCES },
	{ TRY(read_key_beside), FILES, EACCES, EACCES, EACCES },
	{ TRY(read_other), FILES, EACCES, EACCES, EACCES },
	{ TRY(write_other), FILES, EACCES, EACCES, EACCES },
	{ TRY(make_other), FILES, EACCES, EACCES, EACCES },
	{ TRY(read_resolver), FILES, EACCES, EACCES, 0 },
	{ TRY(read_authorities), FILES, EACCES, EACCES, 0 },
	{ TRY(read_settings), FILES, EACCES, EACCES, EACCES },
	{ TRY(read_programs), FILES, EACCES, EACCES, EACCES },
	{ TRY(list_settings), FILES, EACCES, EACCES, EACCES },
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
		    (confine_files(role, &c, has_keys) == -1 ||
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
		make_copy, list_beside, read_beside, write_beside, read_key,
		write_key, read_default_key, read_settings, read_other,
		write_other, tcp_socket, tcp_connect, execute, signal_parent,
		code, code_later };
	int got;

	(void)state;
	for (size_t i = 0; i < sizeof(fns) / sizeof(fns[0]); i++) {
		in_child(ROLE_MASTER, fns[i], &got);
		assert_int_equal(got, 0);
	}
}

static void
test_tried(enum role role, int (*fn)(void), int want)
{
	int got;

	in_child(role, fn, &got);
	if (got != want)
		fail_msg("role %d: %s instead of %s", role, strerror(got),
		    strerror(want));
}

/* Who has no keys yet can read the file when it has been put right, and no
 * other. */
static void
test_unread_key_file(void **state)
{
	static const enum role roles[] = { ROLE_WORKER, ROLE_WRITER,
		ROLE_COURIER };

	(void)state;
	if (files == 0)
		skip();
	has_keys = false;
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		test_tried(roles[i], read_key, 0);
		test_tried(roles[i], write_key, EACCES);
		test_tried(roles[i], remove_key, EACCES);
		test_tried(roles[i], read_default_key, EACCES);
		test_tried(roles[i], read_key_beside, EACCES);
	}
	has_keys = true;
}

/* Beside the database, and nobody may do more because of that. */
static void
test_key_beside_database(void **state)
{
	static const enum role roles[] = { ROLE_WORKER, ROLE_WRITER,
		ROLE_COURIER };
	char *elsewhere = c.key_file;

	(void)state;
	if (files == 0)
		skip();
	c.key_file = NULL;
	has_keys = false;
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		test_tried(roles[i], read_default_key, 0);
		test_tried(roles[i], write_default_key, EACCES);
		test_tried(roles[i], read_key, EACCES);
		test_tried(roles[i], make_beside, EACCES);
		test_tried(roles[i], read_beside, EACCES);
	}
	has_keys = true;
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		test_tried(roles[i], read_default_key, EACCES);
	c.key_file = elsewhere;
}

/* Where there is none it can be put back or made, by nobody but the writer. */
static void
test_missing_key_file(void **state)
{
	(void)state;
	if (files == 0)
		skip();
	has_keys = false;
	assert_int_equal(unlink(in_top("keys/key")), 0);
	test_tried(ROLE_WORKER, write_key, EACCES);
	test_tried(ROLE_COURIER, write_key, EACCES);
	test_tried(ROLE_WRITER, make_beside, EACCES);
	test_tried(ROLE_WRITER, write_key, 0);
	/* It is there again. */
	test_tried(ROLE_WRITER, write_key, EACCES);
	has_keys = true;
}

/* ---- the place ---- */

static int
probe_files(void)
{
	return confine_files(ROLE_WORKER, &c, true);
}

static int
probe_calls(void)
{
	return confine_calls(ROLE_WORKER);
}

static int
setup(void **state)
{
	static const char *const names[] = { "data/db", "data/db-wal",
		"data/db-shm", "data/db-secrets", "data/tls.key",
		"data/db-staging/copy", "keys/key", "keys/tls.key",
		"other/file" };
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	(void)state;
	if (mkdtemp(top) == NULL || mkdir(in_top("data"), 0700) == -1 ||
	    mkdir(in_top("data/db-staging"), 0700) == -1 ||
	    mkdir(in_top("keys"), 0700) == -1 ||
	    mkdir(in_top("other"), 0700) == -1)
		return -1;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (opened(names[i], O_RDWR | O_CREAT) != 0)
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
		"data/db-shm", "data/db-secrets", "data/tls.key",
		"data/db-staging/copy", "keys/key", "keys/tls.key",
		"other/file", "other/new" };
	static const char *const dirs[] = { "data/db-staging", "data", "keys",
		"other", "" };

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
		cmocka_unit_test(test_unread_key_file),
		cmocka_unit_test(test_key_beside_database),
		cmocka_unit_test(test_missing_key_file),
	};

	return cmocka_run_group_tests_name("confine", tests, setup, teardown);
}
