/* SPDX-License-Identifier: MIT */
/*
 * libcurl, loaded when the first request is to be sent: with the thirty
 * libraries that it brings it costs 6 MB, and most servers of most days have
 * no webhook to send.  Its functions are called through `curl`, under their
 * own names less "curl_".
 */
#ifndef COURIER_LIBCURL_H
#define COURIER_LIBCURL_H

/* Its checks of types are macros over the functions' names. */
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt

#define LIBCURL_FUNCTIONS(F) \
	F(easy_cleanup) \
	F(easy_getinfo) \
	F(easy_init) \
	F(easy_setopt) \
	F(easy_strerror) \
	F(global_init) \
	F(multi_add_handle) \
	F(multi_assign) \
	F(multi_cleanup) \
	F(multi_info_read) \
	F(multi_init) \
	F(multi_remove_handle) \
	F(multi_setopt) \
	F(multi_socket_action) \
	F(slist_append) \
	F(slist_free_all) \
	F(version)

struct libcurl {
#define LIBCURL_MEMBER(name) __typeof__(curl_##name) *name;
	LIBCURL_FUNCTIONS(LIBCURL_MEMBER)
#undef LIBCURL_MEMBER
};

/* Filled by libcurl_load(); nothing in it may be called before. */
extern struct libcurl curl;

/*
 * Loads and initializes it once; repeats cost nothing, after a failure they
 * try again.  0, or -1 when it is not there or not as expected: the log says
 * why.  Not for threads.
 */
int libcurl_load(void);

#endif
