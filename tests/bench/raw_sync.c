/* SPDX-License-Identifier: MIT */
/*
 * raw-sync, the ceiling of sync: reads the same rows from the same database,
 * in the worker's pages and with its query, and sends as many bytes as the
 * frames would have, made beforehand, to a local connection that another
 * process drains.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "net.h"
#include "stats.h"

/* The worker's: see src/worker/feed.c and ws_conn.c. */
#define PAGE 64
#define SEND_BUFFER (64 * 1024)
#define COLUMNS 9

static const char find_sql[] = "SELECT room, count(*) FROM message"
			       " GROUP BY room ORDER BY 2 DESC LIMIT 1";
static const char page_sql[] =
    "SELECT seq, sender, content, meta, created_ms, client_msg_id, rev,"
    " edited_ms, deleted_ms FROM message"
    " WHERE room = ?1 AND seq > ?2 AND seq < ?3 ORDER BY seq LIMIT ?4";

struct raw_sync {
	const struct bench *bench;
	sqlite3 *db;
	sqlite3_stmt *page;
	int64_t room;
	uint64_t rows, columns;
	char *frames; /* PAGE of them */
};

static int
raw_open(struct raw_sync *r)
{
	sqlite3_stmt *st;
	int rc = -1;

	sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	if (sqlite3_open_v2(r->bench->database, &r->db, SQLITE_OPEN_READONLY,
		NULL) == SQLITE_OK &&
	    sqlite3_exec(r->db, "PRAGMA cache_size = -2048", NULL, NULL,
		NULL) == SQLITE_OK &&
	    sqlite3_prepare_v2(r->db, find_sql, -1, &st, NULL) == SQLITE_OK) {
		if (sqlite3_step(st) == SQLITE_ROW) {
			r->room = sqlite3_column_int64(st, 0);
			rc = 0;
		}
		sqlite3_finalize(st);
	}
	if (rc == 0 &&
	    sqlite3_prepare_v3(r->db, page_sql, -1, SQLITE_PREPARE_PERSISTENT,
		&r->page, NULL) != SQLITE_OK)
		rc = -1;
	if (rc == -1)
		fprintf(stderr, "%s: %s\n", r->bench->database,
		    sqlite3_errmsg(r->db));
	return rc;
}

/* The next page; how many rows it has. */
static unsigned
raw_page(struct raw_sync *r, int64_t *after)
{
	unsigned n = 0;

	sqlite3_exec(r->db, "BEGIN", NULL, NULL, NULL);
	sqlite3_bind_int64(r->page, 1, r->room);
	sqlite3_bind_int64(r->page, 2, *after);
	sqlite3_bind_int64(r->page, 3, INT64_MAX);
	sqlite3_bind_int64(r->page, 4, PAGE);
	while (sqlite3_step(r->page) == SQLITE_ROW) {
		*after = sqlite3_column_int64(r->page, 0);
		for (int i = 1; i < COLUMNS; i++)
			r->columns += sqlite3_column_text(r->page, i) != NULL;
		n++;
	}
	sqlite3_reset(r->page);
	sqlite3_exec(r->db, "COMMIT", NULL, NULL, NULL);
	return n;
}

static int
raw_send(int fd, const char *p, size_t len)
{
	ssize_t n;

	for (; len > 0; p += n, len -= (size_t)n)
		if ((n = send(fd, p, len, MSG_NOSIGNAL)) <= 0)
			return -1;
	return 0;
}

/* All rows once; 0 or -1. */
static int
raw_round(struct raw_sync *r, int fd)
{
	int64_t after = 0;
	unsigned n;

	while ((n = raw_page(r, &after)) > 0) {
		r->rows += n;
		if (raw_send(fd, r->frames, (size_t)n * r->bench->frame) == -1)
			return -1;
	}
	return 0;
}

/* Reads until the other end closes. */
static void
raw_drain(unsigned port)
{
	static char buf[512 * 1024];
	struct pollfd pfd = { .events = POLLOUT };
	ssize_t n = 1;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if ((pfd.fd = net_connect(port, 0, 0)) == -1 ||
	    poll(&pfd, 1, 5000) != 1)
		_exit(1);
	pfd.events = POLLIN;
	while (n != 0 && poll(&pfd, 1, 60000) == 1)
		n = recv(pfd.fd, buf, sizeof(buf), 0);
	_exit(n != 0);
}

static int
raw_connect(pid_t *child)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct pollfd pfd = { .events = POLLIN };
	socklen_t len = sizeof(sin);
	int fd = -1, on = 1, size = SEND_BUFFER;

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	pfd.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (pfd.fd == -1 ||
	    bind(pfd.fd, (struct sockaddr *)&sin, sizeof(sin)) == -1 ||
	    listen(pfd.fd, 1) == -1 ||
	    getsockname(pfd.fd, (struct sockaddr *)&sin, &len) == -1) {
		perror("listen");
		return -1;
	}
	if ((*child = fork()) == 0)
		raw_drain(ntohs(sin.sin_port));
	if (*child > 0 && poll(&pfd, 1, 5000) == 1)
		fd = accept4(pfd.fd, NULL, NULL, SOCK_CLOEXEC);
	close(pfd.fd);
	if (fd != -1) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	}
	return fd;
}

static void
raw_result(const struct raw_sync *r, double seconds, double cpu)
{
	result_begin("raw-sync");
	result_num("rows", (double)r->rows);
	result_num("frame_bytes", r->bench->frame);
	result_num("syscall_us", stats_syscall_us());
	result_num("messages_per_s", (double)r->rows / seconds);
	result_num("own_us_per_message", cpu * 1e6 / (double)r->rows);
	result_end();
}

int
mode_raw_sync(const struct bench *b)
{
	struct raw_sync r = { .bench = b };
	size_t size = (size_t)b->frame * PAGE;
	double cpu, seconds;
	uint64_t start;
	pid_t child = -1;
	int fd = -1, status = 1, rc = 1;

	if ((r.frames = malloc(size)) == NULL)
		abort();
	memset(r.frames, 'x', size);
	if (b->database == NULL || raw_open(&r) == -1 ||
	    (fd = raw_connect(&child)) == -1 || raw_round(&r, fd) == -1)
		goto out;
	r.rows = 0;
	cpu = stats_own_cpu();
	start = stats_now();
	for (unsigned i = 0; i < b->repeats; i++)
		if (raw_round(&r, fd) == -1)
			goto out;
	shutdown(fd, SHUT_WR);
	waitpid(child, &status, 0);
	child = -1;
	seconds = (double)(stats_now() - start) / 1e9;
	cpu = stats_own_cpu() - cpu;
	raw_result(&r, seconds, cpu);
	rc = status != 0;
out:
	if (child > 0) {
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	if (fd != -1)
		close(fd);
	sqlite3_finalize(r.page);
	sqlite3_close(r.db);
	free(r.frames);
	return rc;
}
