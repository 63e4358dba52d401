/* SPDX-License-Identifier: MIT */
/*
 * The settings that say where to listen and for whom.  Run by the process
 * that reads the configuration; opens no socket and no file.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "addr_nets.h"
#include "config.h"
#include "config_values.h"
#include "mem.h"

#define HOST_MAX 255
#define UNIX_PREFIX "unix:"
#define UNIX_MODE 0660
#define TLS_LISTEN_DEFAULT ":8443"

/* "[v6]" with an optional %zone, a name or an IPv4 address, or nothing. */
static bool
host_valid(const char *s, size_t len)
{
	char text[HOST_MAX + 1];
	unsigned char addr[16];
	size_t i;

	if (len > HOST_MAX)
		return false;
	if (len >= 2 && s[0] == '[' && s[len - 1] == ']') {
		memcpy(text, s + 1, len - 2);
		text[len - 2] = '\0';
		text[strcspn(text, "%")] = '\0';
		return inet_pton(AF_INET6, text, addr) == 1;
	}
	for (i = 0; i < len; i++)
		if (!isalnum((unsigned char)s[i]) && s[i] != '.' &&
		    s[i] != '-' && s[i] != '_')
			return false;
	return true;
}

char *
config_unix_path(const char *s, unsigned *mode)
{
	static const char option[] = "?mode=";
	size_t len;

	if (strncmp(s, UNIX_PREFIX, strlen(UNIX_PREFIX)) != 0)
		return NULL;
	s += strlen(UNIX_PREFIX);
	len = strcspn(s, "?");
	*mode = UNIX_MODE;
	if (*s != '/' || len < 2 || s[len - 1] == '/' ||
	    len >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return NULL;
	if (s[len] == '?') {
		const char *digits = s + len + strlen(option);

		if (strncmp(s + len, option, strlen(option)) != 0 ||
		    strlen(digits) < 3 || strlen(digits) > 4 ||
		    strspn(digits, "01234567") != strlen(digits))
			return NULL;
		*mode = (unsigned)strtoul(digits, NULL, 8);
		if (*mode > 0777)
			return NULL;
	}
	return mem_strndup(s, len);
}

static bool
listen_valid(const char *s)
{
	const char *colon = strrchr(s, ':');
	unsigned long port;
	unsigned mode;
	char *path = config_unix_path(s, &mode);

	if (path != NULL) {
		free(path);
		return true;
	}
	return colon != NULL && host_valid(s, (size_t)(colon - s)) &&
	    strlen(colon + 1) <= 5 &&
	    strspn(colon + 1, "0123456789") == strlen(colon + 1) &&
	    (port = strtoul(colon + 1, NULL, 10)) >= 1 && port <= UINT16_MAX;
}

static int
parse_addresses(struct config_value *v, char **list, int *n)
{
	const char *rest = v->text;
	char *item;

	while (rest != NULL) {
		item = config_next_item(&rest);
		if (*n == CONFIG_LISTEN_MAX) {
			snprintf(v->why, sizeof(v->why), "at most %d addresses",
			    CONFIG_LISTEN_MAX);
			free(item);
			return -1;
		}
		if (!listen_valid(item)) {
			free(item);
			return -1;
		}
		list[(*n)++] = item;
	}
	return 0;
}

/* Empty means none; config_listen_check() says whether that may be. */
int
config_parse_listen(struct config_value *v)
{
	if (*v->text == '\0')
		return 0;
	return parse_addresses(v, v->config->listen, &v->config->nlisten);
}

int
config_parse_tls_listen(struct config_value *v)
{
	if (v->text == NULL)
		return 0;
	return parse_addresses(v, v->config->tls_listen,
	    &v->config->ntls_listen);
}

int
config_parse_tls_cert(struct config_value *v)
{
	if (v->text == NULL)
		return 0;
	v->config->tls_cert = config_absolute(v->text);
	return v->config->tls_cert != NULL ? 0 : -1;
}

int
config_parse_tls_key(struct config_value *v)
{
	if (v->text == NULL)
		return 0;
	v->config->tls_key = config_absolute(v->text);
	return v->config->tls_key != NULL ? 0 : -1;
}

int
config_parse_proxies(struct config_value *v)
{
	struct addr_nets nets;

	if (v->text == NULL)
		return 0;
	if (addr_nets_parse(&nets, v->text) == -1)
		return -1;
	v->config->trusted_proxies = mem_strdup(v->text);
	return 0;
}

int
config_listen_check(struct config *c, char *err, size_t errsize)
{
	if ((c->tls_cert == NULL) != (c->tls_key == NULL)) {
		snprintf(err, errsize,
		    "%s is set and %s is not: TLS needs both",
		    c->tls_cert != NULL ? "TLS_CERT" : "TLS_KEY",
		    c->tls_cert != NULL ? "TLS_KEY" : "TLS_CERT");
		return -1;
	}
	if (c->tls_cert == NULL && c->ntls_listen > 0) {
		snprintf(err, errsize,
		    "TLS_LISTEN_ADDR is set, but TLS_CERT and TLS_KEY are"
		    " not");
		return -1;
	}
	if (c->tls_cert == NULL && c->nlisten == 0) {
		snprintf(err, errsize,
		    "LISTEN_ADDR is empty: that is allowed only with"
		    " TLS_CERT and TLS_KEY");
		return -1;
	}
	if (c->tls_cert != NULL && c->ntls_listen == 0)
		c->tls_listen[c->ntls_listen++] =
		    mem_strdup(TLS_LISTEN_DEFAULT);
	return 0;
}
