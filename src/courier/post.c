/* SPDX-License-Identifier: MIT */
/*
 * HTTP requests by libcurl's multi interface on the process's event loop.
 * Runs in the courier.  An address is looked at when its socket is made,
 * behind the name's resolution, so that a name has no second answer to give.
 */
#include "post.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "../common/addr_public.h"
#include "../common/buf.h"
#include "../common/log.h"
#include "../common/mem.h"
#include "libcurl.h"

#define CONNECTIONS_KEPT 64

struct post {
	LIST_ENTRY(post) entry;
	struct poster *p;
	CURL *easy;
	struct curl_slist *headers;
	struct buf body;
	post_cb *cb;
	void *arg;
	size_t got;                      /* bytes of the answer's body */
	size_t head;                     /* of its headers */
	bool cut;                        /* the body was long enough */
	bool flood;                      /* the headers were too long */
	bool ages;                       /* Retry-After beyond all numbers */
	char refused[POST_ADDRESS_SIZE]; /* address that is not public */
	char error[CURL_ERROR_SIZE];
};

struct poster {
	struct event_base *base;
	CURLM *multi; /* NULL until the first request */
	struct event *timer;
	bool allow_private;
	unsigned active;
	LIST_HEAD(, post) posts;
};

static void
post_free(struct post *o)
{
	LIST_REMOVE(o, entry);
	o->p->active--;
	(void)curl.multi_remove_handle(o->p->multi, o->easy);
	curl.easy_cleanup(o->easy);
	curl.slist_free_all(o->headers);
	buf_free(&o->body);
	free(o);
}

/* ---- how it ended ---- */

static void
post_judge(struct post *o, CURLcode code, struct post_result *r)
{
	curl_off_t after = 0;
	long status = 0;

	(void)curl.easy_getinfo(o->easy, CURLINFO_RESPONSE_CODE, &status);
	(void)curl.easy_getinfo(o->easy, CURLINFO_RETRY_AFTER, &after);
	if (after > 0)
		r->retry_after_s = (uint64_t)after;
	else if (o->ages)
		r->retry_after_s = UINT64_MAX;
	/* A cut body is our own doing. */
	if (code != CURLE_OK && !(code == CURLE_WRITE_ERROR && o->cut)) {
		memcpy(r->address, o->refused, sizeof(r->address));
		if (o->refused[0] != '\0')
			(void)snprintf(r->error, sizeof(r->error),
			    "not a public address");
		else if (o->flood)
			(void)snprintf(r->error, sizeof(r->error),
			    "the answer's headers are longer than %d bytes",
			    POST_HEAD_MAX);
		else
			(void)snprintf(r->error, sizeof(r->error), "%.200s",
			    o->error[0] != '\0' ? o->error :
						  curl.easy_strerror(code));
		return;
	}
	r->success = status >= 200 && status < 300;
	if (status >= 300 && status < 400)
		(void)snprintf(r->error, sizeof(r->error),
		    "HTTP status %ld: redirects are not followed", status);
	else if (!r->success)
		(void)snprintf(r->error, sizeof(r->error), "HTTP status %ld",
		    status);
}

/* It becomes part of JSON text, and the names in it are others'. */
static void
post_tidy(char *error)
{
	for (char *p = error; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || (unsigned char)*p > 0x7e)
			*p = '?';
}

static void
poster_reap(struct poster *p)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl.multi_info_read(p->multi, &left)) != NULL) {
		struct post_result r = { 0 };
		struct post *o;
		post_cb *cb;
		void *arg;

		if (msg->msg != CURLMSG_DONE)
			continue;
		(void)curl.easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE,
		    (char **)&o);
		post_judge(o, msg->data.result, &r);
		post_tidy(r.error);
		cb = o->cb;
		arg = o->arg;
		post_free(o);
		cb(&r, arg);
	}
}

/* ---- libcurl on libevent ---- */

static void
poster_on_socket(evutil_socket_t fd, short what, void *arg)
{
	struct poster *p = arg;
	int running,
	    flags = (what & EV_READ ? CURL_CSELECT_IN : 0) |
	    (what & EV_WRITE ? CURL_CSELECT_OUT : 0);

	(void)curl.multi_socket_action(p->multi, fd, flags, &running);
	poster_reap(p);
}

static void
poster_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct poster *p = arg;
	int running;

	(void)fd;
	(void)what;
	(void)curl.multi_socket_action(p->multi, CURL_SOCKET_TIMEOUT, 0,
	    &running);
	poster_reap(p);
}

static int
poster_watch(CURL *easy, curl_socket_t fd, int what, void *arg, void *socketp)
{
	struct poster *p = arg;
	struct event *ev = socketp;
	short flags = EV_PERSIST;

	(void)easy;
	if (ev != NULL)
		event_free(ev);
	(void)curl.multi_assign(p->multi, fd, NULL);
	if (what == CURL_POLL_REMOVE)
		return 0;
	if (what != CURL_POLL_OUT)
		flags |= EV_READ;
	if (what != CURL_POLL_IN)
		flags |= EV_WRITE;
	ev = event_new(p->base, fd, flags, poster_on_socket, p);
	if (ev == NULL || event_add(ev, NULL) == -1)
		abort();
	(void)curl.multi_assign(p->multi, fd, ev);
	return 0;
}

static int
poster_set_timer(CURLM *multi, long ms, void *arg)
{
	struct poster *p = arg;
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	(void)multi;
	if (ms < 0)
		(void)event_del(p->timer);
	else
		(void)event_add(p->timer, &tv);
	return 0;
}

struct poster *
poster_new(struct event_base *base, bool allow_private)
{
	struct poster *p = mem_alloc(sizeof(*p));

	p->base = base;
	p->allow_private = allow_private;
	LIST_INIT(&p->posts);
	p->timer = event_new(base, -1, 0, poster_on_timer, p);
	if (p->timer == NULL)
		abort();
	return p;
}

static int
poster_begin(struct poster *p)
{
	if (p->multi != NULL)
		return 0;
	if (libcurl_load() == -1)
		return -1;
	p->multi = curl.multi_init();
	if (p->multi == NULL)
		abort();
	(void)curl.multi_setopt(p->multi, CURLMOPT_SOCKETFUNCTION,
	    poster_watch);
	(void)curl.multi_setopt(p->multi, CURLMOPT_SOCKETDATA, p);
	(void)curl.multi_setopt(p->multi, CURLMOPT_TIMERFUNCTION,
	    poster_set_timer);
	(void)curl.multi_setopt(p->multi, CURLMOPT_TIMERDATA, p);
	(void)curl.multi_setopt(p->multi, CURLMOPT_MAXCONNECTS,
	    (long)CONNECTIONS_KEPT);
	(void)curl.multi_setopt(p->multi, CURLMOPT_PIPELINING,
	    (long)CURLPIPE_NOTHING);
	return 0;
}

void
poster_free(struct poster *p)
{
	if (p == NULL)
		return;
	while (!LIST_EMPTY(&p->posts))
		post_free(LIST_FIRST(&p->posts));
	if (p->multi != NULL)
		(void)curl.multi_cleanup(p->multi);
	event_free(p->timer);
	free(p);
}

unsigned
poster_active(const struct poster *p)
{
	return p->active;
}

/* ---- one request ---- */

static size_t
post_on_body(char *data, size_t size, size_t n, void *arg)
{
	struct post *o = arg;

	(void)data;
	o->got += size * n;
	if (o->got <= POST_BODY_MAX)
		return size * n;
	o->cut = true;
	return 0;
}

/* libcurl takes a number of seconds that it cannot hold for none. */
static bool
post_asks_ages(const char *line, size_t len)
{
	static const char name[] = "retry-after:";
	size_t at = sizeof(name) - 1, digits;

	if (len < at || strncasecmp(line, name, at) != 0)
		return false;
	while (at < len &&
	    (line[at] == ' ' || line[at] == '\t' || line[at] == '0'))
		at++;
	for (digits = at;
	     digits < len && line[digits] >= '0' && line[digits] <= '9';)
		digits++;
	return digits - at > 18;
}

static size_t
post_on_header(char *data, size_t size, size_t n, void *arg)
{
	struct post *o = arg;

	o->ages = o->ages || post_asks_ages(data, size * n);
	o->head += size * n;
	if (o->head <= POST_HEAD_MAX)
		return size * n;
	o->flood = true;
	return 0;
}

static bool
post_address_public(const struct curl_sockaddr *a, char text[POST_ADDRESS_SIZE])
{
	const struct sockaddr *sa = &a->addr;

	if (a->family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, sa, sizeof(in));
		(void)inet_ntop(AF_INET, &in.sin_addr, text, POST_ADDRESS_SIZE);
		return addr_public4((const uint8_t *)&in.sin_addr);
	}
	if (a->family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, sa, sizeof(in6));
		(void)inet_ntop(AF_INET6, &in6.sin6_addr, text,
		    POST_ADDRESS_SIZE);
		return addr_public6((const uint8_t *)&in6.sin6_addr);
	}
	(void)snprintf(text, POST_ADDRESS_SIZE, "address family %d", a->family);
	return false;
}

static curl_socket_t
post_on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
	struct post *o = arg;
	char text[POST_ADDRESS_SIZE];

	(void)purpose;
	if (!o->p->allow_private && !post_address_public(a, text)) {
		memcpy(o->refused, text, sizeof(text));
		return CURL_SOCKET_BAD;
	}
	return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

#define SET(option, value) \
	(curl.easy_setopt(easy, (option), (value)) == CURLE_OK)

static bool
post_options(struct post *o, CURL *easy, const char *url)
{
	return SET(CURLOPT_PRIVATE, o) && SET(CURLOPT_ERRORBUFFER, o->error) &&
	    SET(CURLOPT_NOSIGNAL, 1L) && SET(CURLOPT_URL, url) &&
	    SET(CURLOPT_PROTOCOLS_STR, "http,https") &&
	    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) &&
	    SET(CURLOPT_FOLLOWLOCATION, 0L) && SET(CURLOPT_PROXY, "") &&
	    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) &&
	    SET(CURLOPT_SSL_VERIFYPEER, 1L) &&
	    SET(CURLOPT_SSL_VERIFYHOST, 2L) &&
	    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)POST_CONNECT_MS) &&
	    SET(CURLOPT_TIMEOUT_MS, (long)POST_WHOLE_MS) &&
	    SET(CURLOPT_OPENSOCKETFUNCTION, post_on_open) &&
	    SET(CURLOPT_OPENSOCKETDATA, o) &&
	    SET(CURLOPT_WRITEFUNCTION, post_on_body) &&
	    SET(CURLOPT_WRITEDATA, o) &&
	    SET(CURLOPT_HEADERFUNCTION, post_on_header) &&
	    SET(CURLOPT_HEADERDATA, o) &&
	    SET(CURLOPT_USERAGENT, "chatapi/" PACKAGE_VERSION) &&
	    SET(CURLOPT_POST, 1L) &&
	    SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)o->body.len) &&
	    SET(CURLOPT_POSTFIELDS, buf_head(&o->body)) &&
	    SET(CURLOPT_HTTPHEADER, o->headers);
}

struct post *
post_start(struct poster *p, const char *url, const char *const *headers,
    unsigned n, struct buf *body, post_cb *cb, void *arg)
{
	struct curl_slist *more;
	struct post *o;

	if (poster_begin(p) == -1)
		return NULL;
	o = mem_alloc(sizeof(*o));
	o->p = p;
	o->cb = cb;
	o->arg = arg;
	o->body = *body;
	buf_init(body, body->max);
	o->easy = curl.easy_init();
	if (o->easy == NULL)
		abort();
	LIST_INSERT_HEAD(&p->posts, o, entry);
	p->active++;
	for (unsigned i = 0; i < n; i++) {
		if ((more = curl.slist_append(o->headers, headers[i])) == NULL)
			abort();
		o->headers = more;
	}
	if (!post_options(o, o->easy, url) ||
	    curl.multi_add_handle(p->multi, o->easy) != CURLM_OK) {
		log_error("request not begun", NULL);
		post_free(o);
		return NULL;
	}
	return o;
}
