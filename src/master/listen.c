/* SPDX-License-Identifier: MIT */
/*
 * Binds the listening sockets.  Runs in the master at start; never accepts,
 * and never closes a listening socket while the server runs: its queue of
 * clients would be reset.
 */
#include "listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "../common/clock.h"
#include "../common/config_values.h"
#include "../common/log.h"
#include "../common/mem.h"
#include "../common/records.h"
#include "listen_unix.h"

#define LISTEN_BACKLOG 4096
/* A peer that answers nothing holds a connection no longer than this. */
#define LISTEN_USER_TIMEOUT_MS 60000
#define LISTEN_KEEPIDLE_S 60
/* How long the workers of a killed master may take to leave the port. */
#define LISTEN_PROBE_MS 3000
#define LISTEN_PROBE_RETRY_MS 50
/* "unix:" and a path, or an address and a port; a comma or NUL. */
#define LISTEN_TEXT 128

struct listen_address {
	struct sockaddr_storage sa;
	socklen_t len;
	unsigned entry; /* which of the configured ones it came from */
	uint8_t kind;   /* LISTENER_… */
	mode_t mode;    /* of a Unix-domain socket */
};

struct listeners {
	struct listen_address addr[LISTEN_SOCKETS_MAX];
	unsigned n;
	unsigned slots;
	int *fds;    /* slots times n, or n of all slots; -1 = none */
	bool shared; /* they were given to us */
	bool *started;
	char text[LISTEN_SOCKETS_MAX * LISTEN_TEXT];
};

static void
listen_set_port(struct sockaddr_storage *sa, in_port_t port)
{
	if (sa->ss_family == AF_INET)
		((struct sockaddr_in *)sa)->sin_port = port;
	else
		((struct sockaddr_in6 *)sa)->sin6_port = port;
}

static in_port_t
listen_port(const struct sockaddr_storage *sa)
{
	if (sa->ss_family == AF_UNIX)
		return 1;
	if (sa->ss_family == AF_INET)
		return ((const struct sockaddr_in *)sa)->sin_port;
	return ((const struct sockaddr_in6 *)sa)->sin6_port;
}

static const char *
listen_path(const struct listen_address *a)
{
	return ((const struct sockaddr_un *)&a->sa)->sun_path;
}

/* "[::1]:8080" into out. */
static void
listen_format(char *out, size_t size, const struct listen_address *a)
{
	char host[INET6_ADDRSTRLEN] = "?";
	bool v6 = a->sa.ss_family == AF_INET6;
	const void *p = v6 ?
	    (const void *)&((const struct sockaddr_in6 *)&a->sa)->sin6_addr :
	    (const void *)&((const struct sockaddr_in *)&a->sa)->sin_addr;

	if (a->sa.ss_family == AF_UNIX) {
		snprintf(out, size, "unix:%s", listen_path(a));
		return;
	}
	inet_ntop(a->sa.ss_family, p, host, sizeof(host));
	snprintf(out, size, v6 ? "[%s]:%u" : "%s:%u", host,
	    ntohs(listen_port(&a->sa)));
}

static int
listen_add(struct listeners *l, unsigned entry, uint8_t kind,
    const struct sockaddr *sa, socklen_t len)
{
	struct listen_address *a = &l->addr[l->n];

	if (l->n == LISTEN_SOCKETS_MAX)
		return -1;
	memset(a, 0, sizeof(*a));
	memcpy(&a->sa, sa, len);
	a->len = len;
	a->entry = entry;
	a->kind = kind;
	/* A name may resolve to one address twice. */
	for (unsigned i = 0; i < l->n; i++)
		if (l->addr[i].len == len &&
		    memcmp(&l->addr[i].sa, &a->sa, len) == 0 &&
		    listen_port(&a->sa) != 0)
			return 0;
	l->n++;
	return 0;
}

/* Splits "host:port"; host is empty for ":port". */
static int
listen_split(const char *text, char *host, size_t hostsize, const char **port)
{
	const char *colon = strrchr(text, ':');
	size_t len;

	if (colon == NULL)
		return -1;
	*port = colon + 1;
	len = (size_t)(colon - text);
	if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	if (len >= hostsize)
		return -1;
	memcpy(host, text, len);
	host[len] = '\0';
	return 0;
}

/* 1 when it is the address of a Unix-domain socket, and added; -1 with a
 * sentence. */
static int
listen_add_unix(struct listeners *l, unsigned entry, uint8_t kind,
    const char *text, char *err, size_t errsize)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	unsigned mode, n = l->n;
	char *path = config_unix_path(text, &mode);

	if (path == NULL)
		return 0;
	(void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	free(path);
	if (listen_add(l, entry, kind | LISTENER_UNIX,
		(const struct sockaddr *)&sa, sizeof(sa)) == -1) {
		snprintf(err, errsize, "more than %d listen addresses",
		    LISTEN_SOCKETS_MAX);
		return -1;
	}
	l->addr[n].mode = mode;
	return 1;
}

static int
listen_resolve(struct listeners *l, unsigned entry, uint8_t kind,
    const char *text, char *err, size_t errsize)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE | AI_NUMERICSERV };
	struct addrinfo *list, *ai;
	char host[256];
	const char *port;
	int rc = listen_add_unix(l, entry, kind, text, err, errsize);

	if (rc != 0)
		return rc == 1 ? 0 : -1;
	if (listen_split(text, host, sizeof(host), &port) == -1) {
		snprintf(err, errsize, "listen address %s is not host:port",
		    text);
		return -1;
	}
	rc = getaddrinfo(host[0] != '\0' ? host : NULL, port, &hints, &list);
	if (rc != 0) {
		snprintf(err, errsize, "cannot resolve listen address %s: %s",
		    text, gai_strerror(rc));
		return -1;
	}
	for (ai = list; ai != NULL && rc == 0; ai = ai->ai_next)
		if (ai->ai_family == AF_INET || ai->ai_family == AF_INET6)
			rc = listen_add(l, entry, kind, ai->ai_addr,
			    ai->ai_addrlen);
	freeaddrinfo(list);
	if (rc != 0)
		snprintf(err, errsize, "more than %d listen addresses",
		    LISTEN_SOCKETS_MAX);
	return rc;
}

/* Accepted sockets inherit these: no calls for each. */
static void
listen_options(int fd)
{
	int one = 1, idle = LISTEN_KEEPIDLE_S;
	unsigned user_timeout = LISTEN_USER_TIMEOUT_MS;

	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout,
	    sizeof(user_timeout));
}

/* A bound socket; without `shared` it is a probe that tolerates nobody. */
static int
listen_bind(const struct listen_address *a, bool shared)
{
	int fd, saved, one = 1;

	fd = socket(a->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0);
	if (fd == -1)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (a->sa.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (shared) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
		listen_options(fd);
	}
	if (bind(fd, (const struct sockaddr *)&a->sa, a->len) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

static int
listen_probe_once(struct listen_address *a)
{
	int fd;

	if (a->sa.ss_family == AF_UNIX)
		return listen_unix_probe(listen_path(a));
	fd = listen_bind(a, false);
	if (fd == -1)
		return -1;
	if (listen_port(&a->sa) == 0)
		getsockname(fd, (struct sockaddr *)&a->sa, &a->len);
	close(fd);
	return 0;
}

static int
listen_probe(struct listen_address *a)
{
	const struct timespec pause = { 0, LISTEN_PROBE_RETRY_MS * 1000000L };
	uint64_t deadline = clock_mono_ms() + LISTEN_PROBE_MS;
	bool told = false;

	while (listen_probe_once(a) == -1) {
		char text[LISTEN_TEXT];

		if (errno != EADDRINUSE || clock_mono_ms() >= deadline)
			return -1;
		listen_format(text, sizeof(text), a);
		if (!told)
			log_warn("address in use, waiting", "addr=%s", text);
		told = true;
		nanosleep(&pause, NULL);
	}
	return 0;
}

/* Probes every address; drops those of a family that this host lacks, as
 * long as the configured entry keeps one. */
static int
listen_probe_all(struct listeners *l, char *err, size_t errsize)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < l->n; i++) {
		struct listen_address a = l->addr[i];
		bool first = kept == 0 || l->addr[kept - 1].entry != a.entry;
		bool last = i + 1 == l->n || l->addr[i + 1].entry != a.entry;
		char text[LISTEN_TEXT];

		if (!first && listen_port(&a.sa) == 0)
			listen_set_port(&a.sa,
			    listen_port(&l->addr[kept - 1].sa));
		if (listen_probe(&a) == 0) {
			l->addr[kept++] = a;
			continue;
		}
		if ((errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL) &&
		    !(first && last))
			continue;
		listen_format(text, sizeof(text), &a);
		snprintf(err, errsize, "cannot listen on %s: %s", text,
		    errno != EADDRINUSE ? strerror(errno) :
			a.sa.ss_family == AF_UNIX ?
					  "another program serves there" :
					  "another program uses this port");
		return -1;
	}
	l->n = kept;
	return 0;
}

static int
listen_bind_all(struct listeners *l, unsigned first, char *err, size_t errsize)
{
	for (unsigned i = first * l->n; i < l->slots * l->n; i++) {
		const struct listen_address *a = &l->addr[i % l->n];
		char text[LISTEN_TEXT];

		if (a->sa.ss_family != AF_UNIX)
			l->fds[i] = listen_bind(a, true);
		else if (i < l->n)
			l->fds[i] = listen_unix_bind(listen_path(a), a->mode);
		else /* one file, one queue: all slots share it */
			l->fds[i] = fcntl(l->fds[i % l->n], F_DUPFD_CLOEXEC, 3);
		if (l->fds[i] != -1)
			continue;
		listen_format(text, sizeof(text), a);
		snprintf(err, errsize, "cannot listen on %s: %s", text,
		    strerror(errno));
		return -1;
	}
	return 0;
}

static void
listen_text(struct listeners *l)
{
	size_t at = 0;

	for (unsigned i = 0; i < l->n; i++) {
		if (i > 0)
			l->text[at++] = ',';
		listen_format(l->text + at, sizeof(l->text) - at, &l->addr[i]);
		at += strlen(l->text + at);
	}
}

struct listeners *
listeners_open(char *const *addresses, int n, char *const *tls_addresses,
    int ntls, unsigned slots, char *err, size_t errsize)
{
	struct listeners *l = mem_alloc(sizeof(*l));

	l->slots = slots;
	for (int i = 0; i < n + ntls; i++)
		if (listen_resolve(l, (unsigned)i, i < n ? 0 : LISTENER_TLS,
			i < n ? addresses[i] : tls_addresses[i - n], err,
			errsize) == -1)
			goto fail;
	if (listen_probe_all(l, err, errsize) == -1)
		goto fail;
	if (l->n == 0) {
		snprintf(err, errsize, "no address to listen on");
		goto fail;
	}
	l->started = mem_alloc(slots * sizeof(*l->started));
	l->fds = mem_alloc(slots * l->n * sizeof(*l->fds));
	for (unsigned i = 0; i < slots * l->n; i++)
		l->fds[i] = -1;
	if (listen_bind_all(l, 0, err, errsize) == -1)
		goto fail;
	listen_text(l);
	return l;
fail:
	listeners_free(l);
	return NULL;
}

/* What we were given must be what a worker can accept clients on. */
static int
listen_adopt(struct listeners *l, int fd, char *err, size_t errsize)
{
	struct listen_address *a = &l->addr[l->n];
	int type = 0, listening = 0, flags = fcntl(fd, F_GETFL);
	socklen_t size = sizeof(int);

	a->len = sizeof(a->sa);
	if (flags == -1 ||
	    getsockname(fd, (struct sockaddr *)&a->sa, &a->len) == -1 ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == -1 ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) ==
		-1 ||
	    (a->sa.ss_family != AF_INET && a->sa.ss_family != AF_INET6 &&
		a->sa.ss_family != AF_UNIX) ||
	    type != SOCK_STREAM || listening == 0) {
		snprintf(err, errsize,
		    "descriptor %d of the service manager is no listening "
		    "TCP or Unix-domain socket",
		    fd);
		return -1;
	}
	if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) == -1) {
		snprintf(err, errsize, "descriptor %d: %s", fd,
		    strerror(errno));
		return -1;
	}
	a->kind |= LISTENER_KEPT;
	if (a->sa.ss_family == AF_UNIX)
		a->kind |= LISTENER_UNIX;
	else
		listen_options(fd);
	l->fds[l->n++] = fd;
	return 0;
}

struct listeners *
listeners_adopt(const int *fds, const uint8_t *kinds, unsigned n, char *err,
    size_t errsize)
{
	struct listeners *l = mem_alloc(sizeof(*l));

	l->shared = true;
	l->slots = 1;
	l->fds = mem_alloc(LISTEN_SOCKETS_MAX * sizeof(*l->fds));
	if (n > LISTEN_SOCKETS_MAX) {
		snprintf(err, errsize, "more than %d sockets",
		    LISTEN_SOCKETS_MAX);
		goto fail;
	}
	for (unsigned i = 0; i < n; i++) {
		l->addr[i].kind = kinds[i];
		if (listen_adopt(l, fds[i], err, errsize) == -1)
			goto fail;
	}
	listen_text(l);
	return l;
fail:
	l->n = 0;
	listeners_free(l);
	return NULL;
}

void
listeners_close(struct listeners *l)
{
	for (unsigned i = 0; l->fds != NULL && !l->shared && i < l->n; i++)
		if (l->fds[i] != -1 && l->addr[i].sa.ss_family == AF_UNIX)
			(void)unlink(listen_path(&l->addr[i]));
	for (unsigned i = 0; l->fds != NULL && i < l->slots * l->n; i++) {
		if (l->fds[i] != -1)
			close(l->fds[i]);
		l->fds[i] = -1;
	}
}

void
listeners_free(struct listeners *l)
{
	if (l == NULL)
		return;
	listeners_close(l);
	free(l->fds);
	free(l->started);
	free(l);
}

int
listeners_give(const struct listeners *l, uid_t uid, gid_t gid)
{
	if (l->shared)
		return 0;
	for (unsigned i = 0; i < l->n; i++)
		if (l->addr[i].sa.ss_family == AF_UNIX &&
		    lchown(listen_path(&l->addr[i]), uid, gid) == -1)
			return -1;
	/* SO_REUSEPORT is for sockets of one user: those that come later,
	 * for more workers, are his. */
	for (unsigned i = 0; i < l->slots * l->n; i++)
		if (fchown(l->fds[i], uid, gid) == -1)
			return -1;
	return 0;
}

const char *
listeners_text(const struct listeners *l)
{
	return l->text;
}

unsigned
listeners_count(const struct listeners *l)
{
	return l->n;
}

const int *
listeners_fds(const struct listeners *l, unsigned slot)
{
	return l->shared ? l->fds : l->fds + (size_t)slot * l->n;
}

unsigned
listeners_slots(const struct listeners *l)
{
	return l->slots;
}

int
listeners_grow(struct listeners *l, unsigned slots, char *err, size_t errsize)
{
	unsigned had = l->slots, size = slots * l->n;

	if (l->shared || slots <= had)
		return 0;
	l->fds = mem_realloc(l->fds, size * sizeof(*l->fds));
	l->started = mem_realloc(l->started, slots * sizeof(*l->started));
	for (unsigned i = had * l->n; i < size; i++)
		l->fds[i] = -1;
	for (unsigned i = had; i < slots; i++)
		l->started[i] = false;
	l->slots = slots;
	if (listen_bind_all(l, had, err, errsize) == 0)
		return 0;
	/* Nobody waits in them yet. */
	for (unsigned i = had * l->n; i < size; i++)
		if (l->fds[i] != -1)
			close(l->fds[i]);
	l->slots = had;
	return -1;
}

unsigned
listeners_of(const struct listeners *l, unsigned slot, unsigned workers,
    int *fds)
{
	size_t group = l->n * sizeof(*fds);
	unsigned n = l->n;

	memcpy(fds, listeners_fds(l, slot), group);
	for (unsigned i = workers; !l->shared && i < l->slots; i++) {
		if (!l->started[i] || i % workers != slot ||
		    n + l->n > LISTENERS_MAX)
			continue;
		memcpy(fds + n, listeners_fds(l, i), group);
		n += l->n;
	}
	return n;
}

uint8_t
listeners_kind(const struct listeners *l, unsigned i)
{
	return l->addr[i % l->n].kind;
}

int
listeners_start(struct listeners *l, unsigned slot)
{
	if (l->shared || l->started[slot])
		return 0;
	for (unsigned i = 0; i < l->n; i++)
		if (listen(listeners_fds(l, slot)[i], LISTEN_BACKLOG) == -1)
			return -1;
	l->started[slot] = true;
	return 0;
}
