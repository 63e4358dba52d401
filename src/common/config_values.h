/* SPDX-License-Identifier: MIT */
/*
 * The table of settings and the readers of their values: what config.c and
 * config_file.c share.  Nobody else needs it.
 */
#ifndef COMMON_CONFIG_VALUES_H
#define COMMON_CONFIG_VALUES_H

#include <stdbool.h>
#include <stddef.h>

struct config;

enum config_setting_id {
	SETTING_LISTEN_ADDR,
	SETTING_DATABASE_DSN,
	SETTING_LOG_LEVEL,
	SETTING_WORKERS,
	SETTING_DEFAULT_RATE_LIMIT,
	SETTING_MASTER_API_KEY,
	SETTING_ALLOWED_ORIGINS,
	SETTING_WS_MAX_CONNECTIONS_PER_USER,
	SETTING_SHUTDOWN_DRAIN_TIMEOUT,
	SETTING_RETRY_MAX_ATTEMPTS,
	SETTING_RETRY_INTERVAL,
	SETTING_PRESENCE_GRACE,
	SETTING_RESUME_WAIT,
	SETTING_KEY_FILE,
	SETTING_WEBHOOK_ALLOW_PRIVATE,
	SETTING_USER,
	SETTING_CONFINE,
	SETTING_CONSOLE,
	SETTING_CONSOLE_DIR,
	SETTING_TLS_CERT,
	SETTING_TLS_KEY,
	SETTING_TLS_LISTEN_ADDR,
	SETTING_TRUSTED_PROXIES,
	CONFIG_SETTINGS
};

/* One value on its way into the config. */
struct config_value {
	struct config *config;
	const char *text; /* NULL = unset, and there is no default */
	char why[256];    /* `allowed`, unless parse knows better */
};

struct config_setting {
	const char *name;     /* in the environment; lower case in the file */
	int flag;             /* as getopt_long() returns it, or 0 */
	const char *fallback; /* text of the default, NULL = none */
	const char *allowed;  /* the end of "… is not allowed: " */
	bool secret;          /* its value is never shown */
	int (*parse)(struct config_value *v); /* 0 or -1 */
	bool not_environment; /* there it means something else */
};

extern const struct config_setting config_settings[CONFIG_SETTINGS];

/* The next item of a comma-separated list, without spaces around it, as new
 * memory; *s moves behind it and is NULL after the last. */
char *config_next_item(const char **s);
/* The path as new text that begins with "/"; NULL when it is empty, too long
 * or the working directory cannot be used. */
char *config_absolute(const char *path);

/* ---- config_listen.c ---- */
int config_parse_listen(struct config_value *v);
int config_parse_tls_listen(struct config_value *v);
int config_parse_tls_cert(struct config_value *v);
int config_parse_tls_key(struct config_value *v);
int config_parse_proxies(struct config_value *v);
/*
 * "unix:/path" or "unix:/path?mode=0660" of an address to listen on: the
 * path as new memory, and the mode.  NULL when it is none of them.
 */
char *config_unix_path(const char *address, unsigned *mode);
/* What several of these settings say together; 0, or -1 with a sentence. */
int config_listen_check(struct config *c, char *err, size_t errsize)
    __attribute__((warn_unused_result));

/* What one setting's text is and who said so; both owned, NULL = unset. */
struct config_origin {
	char *text;
	char *source; /* "flag -w", "environment WORKERS", "FILE:12" */
};

/* Copies both; what was there before gives way. */
void config_origin_set(struct config_origin *o, const char *text,
    const char *source);
void config_origins_free(struct config_origin origins[CONFIG_SETTINGS]);

/*
 * Reads `key = value` lines into the origins; an empty value unsets.  0, or
 * -1 with a sentence that begins with the file and line in err.
 */
int config_file_read(const char *path,
    struct config_origin origins[CONFIG_SETTINGS], char *err, size_t errsize)
    __attribute__((warn_unused_result));

#endif
