/* SPDX-License-Identifier: MIT */
/*
 * raw-fanout, the ceiling of fanout: this process writes the same bytes to
 * every one of N local connections with plain send(), a child process reads
 * them.  No frames are parsed and nothing is stored.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "net.h"
#include "stats.h"
#include "window.h"

#define RING 1024

/* What both processes see. */
struct raw_shared {
	_Atomic uint64_t received; /* frames, all connections */
	_Atomic uint64_t complete; /* frames every connection has */
};

struct raw_target {
	int fd;
	uint64_t sent; /* bytes, of the endless stream */
};

struct raw {
	const struct bench *bench;
	struct raw_shared *shared;
	struct raw_target *target;
	int listener, ep, wake;
	char *bytes;    /* frame, per_write times */
	uint64_t begun; /* frames of which all may be sent */
	uint64_t next_at;
	struct window window;
};

static int
raw_listen(struct raw *r, unsigned *port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	r->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (r->listener == -1 ||
	    bind(r->listener, (struct sockaddr *)&sin, sizeof(sin)) == -1 ||
	    listen(r->listener, 4096) == -1 ||
	    getsockname(r->listener, (struct sockaddr *)&sin, &len) == -1) {
		perror("listen");
		return -1;
	}
	*port = ntohs(sin.sin_port);
	return 0;
}

/* ---- the reading process ---- */

static void
raw_count(struct raw *r, uint64_t *have, size_t n, unsigned *got)
{
	uint64_t before = *have / r->bench->frame, after, completed = 0;

	*have += n;
	after = *have / r->bench->frame;
	for (uint64_t i = before; i < after; i++) {
		if (++got[i % RING] < r->bench->members)
			continue;
		got[i % RING] = 0;
		completed++;
	}
	atomic_fetch_add_explicit(&r->shared->received, after - before,
	    memory_order_relaxed);
	if (completed > 0) {
		atomic_fetch_add(&r->shared->complete, completed);
		eventfd_write(r->wake, 1);
	}
}

static void
raw_reader(struct raw *r, unsigned port)
{
	unsigned n = r->bench->members;
	uint64_t *have = calloc(n, sizeof(*have));
	int *fd = calloc(n, sizeof(*fd)), ep = epoll_create1(0), k;
	static unsigned got[RING];
	static char buf[256 * 1024];
	struct epoll_event ev[256];
	struct pollfd pfd;
	ssize_t len;

	if (have == NULL || fd == NULL || ep == -1)
		_exit(1);
	for (unsigned i = 0; i < n; i++) {
		fd[i] = net_connect(port, i / 4000, 0);
		pfd = (struct pollfd){ .fd = fd[i], .events = POLLOUT };
		if (fd[i] == -1 || poll(&pfd, 1, 5000) != 1)
			_exit(1);
		net_epoll(ep, EPOLL_CTL_ADD, fd[i], EPOLLIN, &fd[i]);
	}
	for (;;) {
		k = epoll_wait(ep, ev, 256, -1);
		for (int i = 0; i < k; i++) {
			int *which = ev[i].data.ptr;

			len = recv(*which, buf, sizeof(buf), 0);
			if (len == 0)
				_exit(0);
			if (len > 0)
				raw_count(r, &have[which - fd], (size_t)len,
				    got);
		}
	}
}

/* ---- the writing process ---- */

static int
raw_accept(struct raw *r)
{
	struct pollfd pfd = { .fd = r->listener, .events = POLLIN };
	int on = 1;

	for (unsigned i = 0; i < r->bench->members; i++) {
		if (poll(&pfd, 1, 5000) != 1)
			return -1;
		r->target[i].fd = accept4(r->listener, NULL, NULL,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (r->target[i].fd == -1)
			return -1;
		setsockopt(r->target[i].fd, IPPROTO_TCP, TCP_NODELAY, &on,
		    sizeof(on));
		net_epoll(r->ep, EPOLL_CTL_ADD, r->target[i].fd,
		    EPOLLOUT | EPOLLET, &r->target[i]);
	}
	net_epoll(r->ep, EPOLL_CTL_ADD, r->wake, EPOLLIN, NULL);
	return 0;
}

/* Sends this target what has begun: per_write frames a write.  True when
 * the socket is full. */
static bool
raw_send(struct raw *r, struct raw_target *t)
{
	uint64_t until = r->begun * r->bench->frame, at, len;
	ssize_t n;

	while (t->sent < until) {
		at = t->sent % r->bench->frame;
		len = (uint64_t)r->bench->frame * r->bench->per_write - at;
		if (len > until - t->sent)
			len = until - t->sent;
		n = send(t->fd, r->bytes + at, len, MSG_NOSIGNAL);
		if (n <= 0)
			return true;
		t->sent += (uint64_t)n;
	}
	return false;
}

static void
raw_turn(struct raw *r)
{
	struct epoll_event ev[256];
	uint64_t complete = atomic_load(&r->shared->complete), now;
	const struct bench *b = r->bench;
	eventfd_t v;
	int n, wait = 10;

	now = stats_now();
	if (r->begun - complete < b->outstanding && now >= r->next_at) {
		r->begun = complete + b->outstanding;
		for (unsigned i = 0; i < b->members; i++)
			raw_send(r, &r->target[i]);
	}
	if (r->next_at > now)
		wait = (int)((r->next_at - now) / 1000000);
	n = epoll_wait(r->ep, ev, 256, wait);
	for (int i = 0; i < n; i++) {
		if (ev[i].data.ptr != NULL) {
			raw_send(r, ev[i].data.ptr);
		} else if (eventfd_read(r->wake, &v) == 0) {
			r->next_at = stats_now() + b->pause_us * UINT64_C(1000);
		}
	}
}

static void
raw_measure(struct raw *r)
{
	uint64_t received = 0, complete = 0;
	double t;

	window_begin(&r->window, r->bench);
	while (window_tick(&r->window, stats_now()) != WINDOW_DONE) {
		if (r->window.state == WINDOW_WARM) {
			received = atomic_load(&r->shared->received);
			complete = atomic_load(&r->shared->complete);
		}
		raw_turn(r);
	}
	received = atomic_load(&r->shared->received) - received;
	complete = atomic_load(&r->shared->complete) - complete;
	t = window_seconds(&r->window);
	result_begin("raw-fanout");
	result_num("members", r->bench->members);
	result_num("outstanding", r->bench->outstanding);
	result_num("pause_us", r->bench->pause_us);
	result_num("frame_bytes", r->bench->frame);
	result_num("per_write", r->bench->per_write);
	result_num("syscall_us", stats_syscall_us());
	result_num("deliveries", (double)received);
	result_num("deliveries_per_s", (double)received / t);
	result_num("messages_per_s", (double)complete / t);
	/* Here the server is this very process. */
	window_result(&r->window, "delivery", received);
	result_end();
}

int
mode_raw_fanout(const struct bench *b)
{
	struct raw r = { .bench = b };
	unsigned port = 0;
	pid_t child = -1;
	int rc = 1;

	r.target = calloc(b->members, sizeof(*r.target));
	r.bytes = malloc((size_t)b->frame * b->per_write);
	r.shared = mmap(NULL, sizeof(*r.shared), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	r.ep = epoll_create1(EPOLL_CLOEXEC);
	r.wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (r.target == NULL || r.bytes == NULL || r.shared == MAP_FAILED ||
	    r.ep == -1 || r.wake == -1)
		abort();
	memset(r.bytes, 'x', (size_t)b->frame * b->per_write);
	if (raw_listen(&r, &port) == -1)
		goto out;
	if ((child = fork()) == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		raw_reader(&r, port);
	}
	if (child == -1 || raw_accept(&r) == -1) {
		fprintf(stderr, "the reading process did not connect\n");
		goto out;
	}
	raw_measure(&r);
	rc = 0;
out:
	if (child > 0) {
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	for (unsigned i = 0; i < b->members; i++)
		if (r.target[i].fd > 0)
			close(r.target[i].fd);
	free(r.target);
	free(r.bytes);
	munmap(r.shared, sizeof(*r.shared));
	return rc;
}
