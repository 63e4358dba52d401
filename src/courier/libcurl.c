/* SPDX-License-Identifier: MIT */
/* Loading libcurl.  Runs in the courier. */
#include "libcurl.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "../common/log.h"

/* Its interface has been this one since 2006. */
#define LIBCURL_NAME "libcurl.so.4"

struct libcurl curl;
static bool loaded;

static int
libcurl_failed(const char *why)
{
	log_error("webhooks cannot be sent", "error=\"%s\"",
	    why != NULL ? why : LIBCURL_NAME " is not as expected");
	return -1;
}

/* A function's address as dlsym() has it; C knows no way from one to the
 * other, POSIX does. */
static bool
libcurl_find(void *library, const char *name, void *function)
{
	void *found = dlsym(library, name);

	memcpy(function, &found, sizeof(found));
	return found != NULL;
}

int
libcurl_load(void)
{
	void *library;

	if (loaded)
		return 0;
	library = dlopen(LIBCURL_NAME, RTLD_LAZY | RTLD_LOCAL);
	if (library == NULL)
		return libcurl_failed(dlerror());
#define LIBCURL_FIND(name) \
	if (!libcurl_find(library, "curl_" #name, &curl.name)) { \
		(void)libcurl_failed(dlerror()); \
		(void)dlclose(library); \
		return -1; \
	}
	LIBCURL_FUNCTIONS(LIBCURL_FIND)
#undef LIBCURL_FIND
	if (curl.global_init(CURL_GLOBAL_ALL) != CURLE_OK)
		return libcurl_failed("it does not initialize");
	loaded = true;
	return 0;
}
