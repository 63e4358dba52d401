/* SPDX-License-Identifier: MIT */
/*
 * Two configurations compared, setting by setting, and the part of one that
 * a running server can take.  Run by the master at a reload and by its
 * children when they are told of it.
 */
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "config_values.h"

#define AT(field) offsetof(struct config, field)
#define SIZE(field) sizeof(((struct config *)0)->field)
/* A number; a text that may be unset. */
#define PLAIN(field) AT(field), SIZE(field)
#define TEXT(field) AT(field), 0

static const struct config_field {
	size_t at;
	size_t size; /* 0 = a char pointer, owned */
	enum config_change change;
} fields[CONFIG_SETTINGS] = {
	[SETTING_LISTEN_ADDR] = { TEXT(listen), CONFIG_RESTART },
	[SETTING_DATABASE_DSN] = { TEXT(dsn_text), CONFIG_RESTART },
	[SETTING_LOG_LEVEL] = { PLAIN(log_level), CONFIG_LIVE },
	[SETTING_WORKERS] = { PLAIN(workers), CONFIG_REPLACE },
	[SETTING_DEFAULT_RATE_LIMIT] = { PLAIN(rate_limit), CONFIG_LIVE },
	[SETTING_MASTER_API_KEY] = { TEXT(master_key), CONFIG_LIVE },
	[SETTING_ALLOWED_ORIGINS] = { TEXT(allowed_origins), CONFIG_LIVE },
	[SETTING_WS_MAX_CONNECTIONS_PER_USER] = { PLAIN(ws_max_per_user),
	    CONFIG_LIVE },
	[SETTING_SHUTDOWN_DRAIN_TIMEOUT] = { PLAIN(drain_timeout_ms),
	    CONFIG_LIVE },
	[SETTING_RETRY_MAX_ATTEMPTS] = { PLAIN(retry_max_attempts),
	    CONFIG_LIVE },
	[SETTING_RETRY_INTERVAL] = { PLAIN(retry_interval_ms), CONFIG_LIVE },
	[SETTING_PRESENCE_GRACE] = { PLAIN(presence_grace_ms), CONFIG_LIVE },
	[SETTING_RESUME_WAIT] = { PLAIN(resume_wait_ms), CONFIG_LIVE },
	[SETTING_KEY_FILE] = { TEXT(key_file), CONFIG_RESTART },
	[SETTING_WEBHOOK_ALLOW_PRIVATE] = { PLAIN(webhook_allow_private),
	    CONFIG_LIVE },
	[SETTING_CONSOLE] = { PLAIN(console), CONFIG_REPLACE },
	[SETTING_CONSOLE_DIR] = { TEXT(console_dir), CONFIG_REPLACE },
	[SETTING_TLS_CERT] = { TEXT(tls_cert), CONFIG_LIVE },
	[SETTING_TLS_KEY] = { TEXT(tls_key), CONFIG_LIVE },
	[SETTING_TLS_LISTEN_ADDR] = { TEXT(tls_listen), CONFIG_RESTART },
	[SETTING_TRUSTED_PROXIES] = { TEXT(trusted_proxies), CONFIG_LIVE },
	[SETTING_USER] = { TEXT(user), CONFIG_RESTART },
	[SETTING_CONFINE] = { PLAIN(confine), CONFIG_RESTART },
};

static bool
text_same(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool
list_same(char *const *a, int na, char *const *b, int nb)
{
	if (na != nb)
		return false;
	for (int i = 0; i < na; i++)
		if (!text_same(a[i], b[i]))
			return false;
	return true;
}

static char **
text_of(const struct config *c, const struct config_field *f)
{
	return (char **)(void *)((char *)(uintptr_t)c + f->at);
}

static bool
field_same(const struct config *a, const struct config *b, unsigned id)
{
	const struct config_field *f = &fields[id];

	if (id == SETTING_LISTEN_ADDR)
		return list_same(a->listen, a->nlisten, b->listen, b->nlisten);
	if (id == SETTING_TLS_LISTEN_ADDR)
		return list_same(a->tls_listen, a->ntls_listen, b->tls_listen,
		    b->ntls_listen);
	if (f->size == 0)
		return text_same(*text_of(a, f), *text_of(b, f));
	return memcmp((const char *)a + f->at, (const char *)b + f->at,
		   f->size) == 0;
}

enum config_change
config_change(unsigned id)
{
	return id < CONFIG_SETTINGS ? fields[id].change : CONFIG_SAME;
}

enum config_change
config_diff(const struct config *a, const struct config *b, unsigned *id,
    const char **name)
{
	while (*id < CONFIG_SETTINGS) {
		unsigned i = (*id)++;

		if (field_same(a, b, i))
			continue;
		*name = config_settings[i].name;
		return fields[i].change == CONFIG_SAME ? CONFIG_RESTART :
							 fields[i].change;
	}
	return CONFIG_SAME;
}

void
config_take(struct config *to, struct config *from)
{
	for (unsigned i = 0; i < CONFIG_SETTINGS; i++) {
		const struct config_field *f = &fields[i];

		if (f->change != CONFIG_LIVE && f->change != CONFIG_REPLACE)
			continue;
		if (f->size == 0) {
			char *old = *text_of(to, f);

			*text_of(to, f) = *text_of(from, f);
			*text_of(from, f) = old;
		} else
			memcpy((char *)to + f->at, (char *)from + f->at,
			    f->size);
	}
}
