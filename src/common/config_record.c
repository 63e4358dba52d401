/* SPDX-License-Identifier: MIT */
/*
 * The configuration as fields of a record: the master writes them, its
 * children read them.  A child takes nothing that config_load() would not
 * have let through in kind or size.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "mem.h"
#include "wire.h"

static void
put_text(struct buf *b, const char *s)
{
	wire_put_str(b, s, strlen(s));
}

static void
put_optional(struct buf *b, const char *s)
{
	wire_put_u8(b, s != NULL);
	if (s != NULL)
		put_text(b, s);
}

/* New memory; a NUL inside makes the reader bad. */
static char *
get_text(struct wire_reader *r)
{
	size_t len;
	const char *s = wire_get_str(r, &len);

	if (memchr(s, '\0', len) != NULL)
		r->bad = true;
	return mem_strndup(s, len);
}

static char *
get_optional(struct wire_reader *r)
{
	return wire_get_u8(r) != 0 ? get_text(r) : NULL;
}

static void
get_dsn(struct wire_reader *r, struct dsn *dsn)
{
	size_t len;
	const char *s = wire_get_str(r, &len);

	if (len == 0 || len >= sizeof(dsn->path) ||
	    memchr(s, '\0', len) != NULL)
		r->bad = true;
	else
		memcpy(dsn->path, s, len);
	dsn->busy_timeout_ms = wire_get_u32(r);
}

void
config_put(struct buf *b, const struct config *c)
{
	int i;

	wire_put_u8(b, (uint8_t)c->nlisten);
	for (i = 0; i < c->nlisten; i++)
		put_text(b, c->listen[i]);
	wire_put_u8(b, (uint8_t)c->ntls_listen);
	for (i = 0; i < c->ntls_listen; i++)
		put_text(b, c->tls_listen[i]);
	put_optional(b, c->trusted_proxies);
	put_optional(b, c->tls_cert);
	put_optional(b, c->tls_key);
	put_text(b, c->dsn_text);
	put_text(b, c->dsn.path);
	wire_put_u32(b, c->dsn.busy_timeout_ms);
	wire_put_u8(b, (uint8_t)c->log_level);
	wire_put_u32(b, c->workers);
	wire_put_u32(b, c->rate_limit);
	put_optional(b, c->master_key);
	put_optional(b, c->allowed_origins);
	wire_put_u32(b, c->ws_max_per_user);
	wire_put_u64(b, c->drain_timeout_ms);
	wire_put_u32(b, c->retry_max_attempts);
	wire_put_u64(b, c->retry_interval_ms);
	wire_put_u64(b, c->presence_grace_ms);
	wire_put_u64(b, c->resume_wait_ms);
	put_optional(b, c->key_file);
	wire_put_u8(b, c->webhook_allow_private);
	wire_put_u8(b, c->confine);
	wire_put_u8(b, c->console);
	put_optional(b, c->console_dir);
	wire_put_u8(b, c->check_only);
}

int
config_get(struct wire_reader *r, struct config *c)
{
	int i, n;

	memset(c, 0, sizeof(*c));
	n = wire_get_u8(r);
	if (n > CONFIG_LISTEN_MAX) {
		r->bad = true;
		return -1;
	}
	for (i = 0; i < n; i++)
		c->listen[c->nlisten++] = get_text(r);
	n = wire_get_u8(r);
	for (i = 0; i < n && n <= CONFIG_LISTEN_MAX; i++)
		c->tls_listen[c->ntls_listen++] = get_text(r);
	c->trusted_proxies = get_optional(r);
	c->tls_cert = get_optional(r);
	c->tls_key = get_optional(r);
	c->dsn_text = get_text(r);
	get_dsn(r, &c->dsn);
	c->log_level = wire_get_u8(r);
	c->workers = wire_get_u32(r);
	c->rate_limit = wire_get_u32(r);
	c->master_key = get_optional(r);
	c->allowed_origins = get_optional(r);
	c->ws_max_per_user = wire_get_u32(r);
	c->drain_timeout_ms = wire_get_u64(r);
	c->retry_max_attempts = wire_get_u32(r);
	c->retry_interval_ms = wire_get_u64(r);
	c->presence_grace_ms = wire_get_u64(r);
	c->resume_wait_ms = wire_get_u64(r);
	c->key_file = get_optional(r);
	c->webhook_allow_private = wire_get_u8(r) != 0;
	c->confine = wire_get_u8(r) != 0;
	c->console = wire_get_u8(r) != 0;
	c->console_dir = get_optional(r);
	c->check_only = wire_get_u8(r) != 0;
	if (c->log_level > LOG_LEVEL_DEBUG || c->workers < 1 ||
	    c->workers > CONFIG_WORKERS_MAX || n > CONFIG_LISTEN_MAX)
		r->bad = true;
	if (!r->bad)
		return 0;
	config_free(c);
	return -1;
}
