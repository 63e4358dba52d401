/* SPDX-License-Identifier: MIT */
/* What stands beside a database: the lock that one process family holds, and
 * the control socket, whatever the length of its path. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/unix_sock.h"
#include "master/lock.h"

static char dir[] = "lock.XXXXXX";
static char db[64];

static int
setup(void **state)
{
	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	(void)snprintf(db, sizeof(db), "%s/chat.db", dir);
	return 0;
}

static int
teardown(void **state)
{
	char command[64];

	(void)state;
	(void)snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static void
test_second_is_refused(void **state)
{
	char err[300] = "";
	int fd = lock_take(db, 0, err, sizeof(err)), again;

	(void)state;
	assert_int_not_equal(fd, -1);
	again = lock_take(db, 0, err, sizeof(err));
	assert_int_equal(again, -1);
	assert_int_equal(errno, EWOULDBLOCK);
	assert_non_null(strstr(err, "another server or command"));
	close(fd);
	fd = lock_take(db, 0, err, sizeof(err));
	assert_int_not_equal(fd, -1);
	close(fd);
}

static void
test_falls_with_the_last_holder(void **state)
{
	char err[300];
	int fd = lock_take(db, 0, err, sizeof(err)), again, pipes[2];
	char c = 'x';
	pid_t child;

	(void)state;
	assert_int_not_equal(fd, -1);
	assert_int_equal(pipe(pipes), 0);
	child = fork();
	assert_int_not_equal(child, -1);
	if (child == 0) {
		/* As the writer does: keeps it until told to end. */
		close(pipes[1]);
		_exit(read(pipes[0], &c, 1) != 1);
	}
	close(fd);
	assert_int_equal(lock_take(db, 0, err, sizeof(err)), -1);
	/* One who waits gets it when the child ends. */
	assert_int_equal(write(pipes[1], &c, 1), 1);
	again = lock_take(db, 10000, err, sizeof(err));
	assert_int_not_equal(again, -1);
	assert_int_equal(waitpid(child, NULL, 0), child);
	close(again);
	close(pipes[0]);
	close(pipes[1]);
}

static void
test_waits_no_longer_than_told(void **state)
{
	char err[300];
	int fd = lock_take(db, 0, err, sizeof(err));
	uint64_t before = clock_mono_ms();

	(void)state;
	assert_int_not_equal(fd, -1);
	assert_int_equal(lock_take(db, 200, err, sizeof(err)), -1);
	assert_true(clock_mono_ms() - before >= 200);
	close(fd);
}

static void
test_links_name_the_same(void **state)
{
	char link_name[80], err[300], *a, *b;
	int fd = open(db, O_CREAT | O_RDWR, 0600), lock;

	(void)state;
	assert_int_not_equal(fd, -1);
	close(fd);
	(void)snprintf(link_name, sizeof(link_name), "%s/other.db", dir);
	assert_int_equal(symlink("chat.db", link_name), 0);
	a = lock_beside(db, LOCK_CONTROL_SUFFIX);
	b = lock_beside(link_name, LOCK_CONTROL_SUFFIX);
	assert_string_equal(a, b);
	free(a);
	free(b);
	lock = lock_take(db, 0, err, sizeof(err));
	assert_int_not_equal(lock, -1);
	assert_int_equal(lock_take(link_name, 0, err, sizeof(err)), -1);
	close(lock);
}

static void
test_missing_directory(void **state)
{
	char err[300] = "";

	(void)state;
	assert_int_equal(lock_take("no-such-dir/chat.db", 0, err, sizeof(err)),
	    -1);
	assert_non_null(strstr(err, "no-such-dir/chat.db-lock"));
}

static void
socket_round_trip(const char *path)
{
	int server, client, peer;
	struct stat st;
	char c = 0;

	assert_int_equal(unix_connect(path), -1);
	assert_int_equal(errno, ENOENT);
	server = unix_listen(path);
	assert_int_not_equal(server, -1);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	client = unix_connect(path);
	assert_int_not_equal(client, -1);
	peer = accept(server, NULL, NULL);
	assert_int_not_equal(peer, -1);
	assert_int_equal(write(client, "!", 1), 1);
	assert_int_equal(read(peer, &c, 1), 1);
	assert_int_equal(c, '!');
	close(client);
	close(peer);
	close(server);
	/* A dead one's name is in nobody's way. */
	assert_int_equal(unix_connect(path), -1);
	assert_int_equal(errno, ECONNREFUSED);
	server = unix_listen(path);
	assert_int_not_equal(server, -1);
	close(server);
	assert_int_equal(unlink(path), 0);
}

static void
test_socket(void **state)
{
	char path[80];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/chat.db-ctl", dir);
	socket_round_trip(path);
}

static void
test_socket_with_long_path(void **state)
{
	char path[400], part[101];

	(void)state;
	memset(part, 'd', 100);
	part[100] = '\0';
	(void)snprintf(path, sizeof(path), "%s/%s", dir, part);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/%s/%s", dir, part, part);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/%s/%s/chat.db-ctl", dir, part,
	    part);
	assert_true(strlen(path) > 108);
	socket_round_trip(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_second_is_refused),
		cmocka_unit_test(test_falls_with_the_last_holder),
		cmocka_unit_test(test_waits_no_longer_than_told),
		cmocka_unit_test(test_links_name_the_same),
		cmocka_unit_test(test_missing_directory),
		cmocka_unit_test(test_socket),
		cmocka_unit_test(test_socket_with_long_path),
	};

	return cmocka_run_group_tests_name("lock", tests, setup, teardown);
}
