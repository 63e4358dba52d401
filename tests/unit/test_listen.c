/* SPDX-License-Identifier: MIT */
/* Listening sockets: one a slot and address, nobody else's port, queues that
 * begin when asked. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "common/records.h"
#include "master/listen.h"

static int
setup(void **state)
{
	(void)state;
	log_init("test", -1);
	return 0;
}

/* The port in "127.0.0.1:port". */
static unsigned
port_of(const struct listeners *l)
{
	return (unsigned)atoi(strrchr(listeners_text(l), ':') + 1);
}

static int
dial(unsigned port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_not_equal(fd, -1);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* Workers up and down: new slots get sockets, and those of slots that have no
 * worker any more are shared among the others. */
static void
test_slots_come_and_go(void **state)
{
	char *addresses[] = { "127.0.0.1:0" };
	char err[300] = "";
	struct listeners *l = listeners_open(addresses, 1, NULL, 0, 2, err,
	    sizeof(err));
	int fds[LISTENERS_MAX], client;

	(void)state;
	assert_non_null(l);
	assert_int_equal(listeners_grow(l, 1, err, sizeof(err)), 0);
	assert_int_equal(listeners_slots(l), 2);
	assert_int_equal(listeners_grow(l, 5, err, sizeof(err)), 0);
	assert_int_equal(listeners_slots(l), 5);
	for (unsigned slot = 0; slot < 4; slot++)
		assert_int_equal(listeners_start(l, slot), 0);
	for (unsigned slot = 0; slot < 4; slot++) {
		assert_int_equal(listeners_of(l, slot, 4, fds), 1);
		assert_int_equal(fds[0], listeners_fds(l, slot)[0]);
	}
	/* The last one was never listened on: nobody waits there. */
	assert_int_equal(listeners_of(l, 0, 2, fds), 2);
	assert_int_equal(fds[1], listeners_fds(l, 2)[0]);
	assert_int_equal(listeners_of(l, 1, 2, fds), 2);
	assert_int_equal(fds[1], listeners_fds(l, 3)[0]);
	assert_int_equal(listeners_of(l, 0, 1, fds), 4);
	client = dial(port_of(l));
	assert_int_not_equal(client, -1);
	close(client);
	listeners_free(l);
}

static void
test_one_socket_a_slot(void **state)
{
	char *addresses[] = { "127.0.0.1:0", "127.0.0.1:0" };
	char err[300];
	struct listeners *l = listeners_open(addresses, 2, NULL, 0, 3, err,
	    sizeof(err));

	(void)state;
	assert_non_null(l);
	assert_int_equal(listeners_count(l), 2);
	for (unsigned slot = 0; slot < 3; slot++) {
		struct sockaddr_in a, b;
		socklen_t len = sizeof(a);
		const int *fds = listeners_fds(l, slot);

		assert_int_equal(getsockname(fds[0], (struct sockaddr *)&a,
				     &len),
		    0);
		assert_int_equal(getsockname(fds[1], (struct sockaddr *)&b,
				     &len),
		    0);
		assert_int_not_equal(a.sin_port, b.sin_port);
		assert_int_equal(ntohs(b.sin_port), port_of(l));
	}
	listeners_free(l);
}

static void
test_queues_when_started(void **state)
{
	char *addresses[] = { "127.0.0.1:0" };
	char err[300];
	struct listeners *l = listeners_open(addresses, 1, NULL, 0, 2, err,
	    sizeof(err));
	int client, peer;

	(void)state;
	assert_non_null(l);
	assert_int_equal(dial(port_of(l)), -1);
	assert_int_equal(listeners_start(l, 1), 0);
	assert_int_equal(listeners_start(l, 1), 0);
	client = dial(port_of(l));
	assert_int_not_equal(client, -1);
	peer = accept(listeners_fds(l, 1)[0], NULL, NULL);
	assert_int_not_equal(peer, -1);
	/* Non-blocking, as a loop needs it. */
	assert_int_equal(accept(listeners_fds(l, 1)[0], NULL, NULL), -1);
	assert_int_equal(errno, EAGAIN);
	close(peer);
	close(client);
	listeners_close(l);
	assert_int_equal(dial(port_of(l)), -1);
	listeners_free(l);
}

static void
test_another_server_is_noticed(void **state)
{
	char *addresses[] = { "127.0.0.1:0" }, text[40], *again[] = { text };
	char err[300];
	struct listeners *l = listeners_open(addresses, 1, NULL, 0, 2, err,
	    sizeof(err));

	(void)state;
	assert_non_null(l);
	assert_int_equal(listeners_start(l, 0), 0);
	(void)snprintf(text, sizeof(text), "%s", listeners_text(l));
	assert_null(listeners_open(again, 1, NULL, 0, 2, err, sizeof(err)));
	assert_non_null(strstr(err, text));
	assert_non_null(strstr(err, "another program uses this port"));
	listeners_free(l);
	l = listeners_open(again, 1, NULL, 0, 2, err, sizeof(err));
	assert_non_null(l);
	assert_string_equal(listeners_text(l), text);
	listeners_free(l);
}

static void
test_no_host_means_both_families(void **state)
{
	char *addresses[] = { ":0" };
	char err[300], want[64];
	struct listeners *l = listeners_open(addresses, 1, NULL, 0, 1, err,
	    sizeof(err));

	(void)state;
	assert_non_null(l);
	/* One port for both; a host without IPv6 has the first only. */
	(void)snprintf(want, sizeof(want), "0.0.0.0:%u", port_of(l));
	assert_memory_equal(listeners_text(l), want, strlen(want));
	if (listeners_count(l) == 2) {
		(void)snprintf(want, sizeof(want), "0.0.0.0:%u,[::]:%u",
		    port_of(l), port_of(l));
		assert_string_equal(listeners_text(l), want);
	}
	listeners_free(l);
}

static void
test_what_is_no_address(void **state)
{
	char *bad[] = { "localhost", "192.0.2.1:8080" };
	char err[300];

	(void)state;
	for (int i = 0; i < 2; i++) {
		err[0] = '\0';
		assert_null(listeners_open(&bad[i], 1, NULL, 0, 1, err,
		    sizeof(err)));
		assert_non_null(strstr(err, bad[i]));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slots_come_and_go),
		cmocka_unit_test(test_one_socket_a_slot),
		cmocka_unit_test(test_queues_when_started),
		cmocka_unit_test(test_another_server_is_noticed),
		cmocka_unit_test(test_no_host_means_both_families),
		cmocka_unit_test(test_what_is_no_address),
	};

	return cmocka_run_group_tests_name("listen", tests, setup, NULL);
}
