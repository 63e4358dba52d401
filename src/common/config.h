/* SPDX-License-Identifier: MIT */
/*
 * The configuration: defaults, then the file, then the environment, then
 * flags.  The master reads it and sends it to its children in one record.
 */
#ifndef COMMON_CONFIG_H
#define COMMON_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dsn.h"
#include "log.h"

struct buf;
struct wire_reader;

#define CONFIG_WORKERS_MAX 64 /* seats; the slots are some more */
#define CONFIG_LISTEN_MAX 8

struct config {
	char *listen[CONFIG_LISTEN_MAX]; /* LISTEN_ADDR, -l: "host:port",
						 * ":port", "[v6]:port" */
	int nlisten;
	char *tls_listen[CONFIG_LISTEN_MAX]; /* TLS_LISTEN_ADDR */
	int ntls_listen;
	char *trusted_proxies; /* TRUSTED_PROXIES; NULL = none */
	char *tls_cert;        /* TLS_CERT, a PEM file; NULL = no TLS */
	char *tls_key;         /* TLS_KEY; there when tls_cert is */
	char *dsn_text;        /* DATABASE_DSN, -d */
	struct dsn dsn;
	enum log_level log_level;    /* LOG_LEVEL */
	unsigned workers;            /* WORKERS, -w; 1..64 */
	uint32_t rate_limit;         /* DEFAULT_RATE_LIMIT, a second */
	char *master_key;            /* MASTER_API_KEY; NULL = no admin API */
	char *allowed_origins;       /* ALLOWED_ORIGINS; NULL = own only */
	unsigned ws_max_per_user;    /* WS_MAX_CONNECTIONS_PER_USER */
	uint64_t drain_timeout_ms;   /* SHUTDOWN_DRAIN_TIMEOUT, 10s */
	unsigned retry_max_attempts; /* RETRY_MAX_ATTEMPTS */
	uint64_t retry_interval_ms;  /* RETRY_INTERVAL */
	uint64_t presence_grace_ms;  /* PRESENCE_GRACE, 5s */
	uint64_t resume_wait_ms;     /* RESUME_WAIT, 30s */
	char *key_file;              /* KEY_FILE; NULL = beside the database */
	bool webhook_allow_private;  /* WEBHOOK_ALLOW_PRIVATE */
	bool confine;                /* CONFINE */
	bool console;                /* CONSOLE */
	char *console_dir;           /* CONSOLE_DIR, absolute */
	char *user;      /* USER in the file, --user; the master's alone,
		     * NULL = nobody else */
	bool check_only; /* -t */
};

/* What main does next. */
enum config_action {
	CONFIG_RUN,
	CONFIG_CHECK,
	CONFIG_HELP,
	CONFIG_VERSION,
	CONFIG_TOOL
};

/*
 * Reads flags, environment and file.  Options end at the first word that is
 * none: that is an operator's subcommand, its index goes to *first_arg and
 * the action is CONFIG_TOOL.  0, or -1 with one sentence in err that names
 * the setting, where it came from and what is allowed.  Warnings go to the
 * log, whose level it sets.
 */
int config_load(struct config *c, int argc, char **argv,
    enum config_action *action, int *first_arg, char *err, size_t errsize)
    __attribute__((warn_unused_result));
void config_free(struct config *c);

/* What follows from a setting's being another than before. */
enum config_change {
	CONFIG_SAME,
	CONFIG_LIVE,    /* running processes take it */
	CONFIG_REPLACE, /* only new workers do */
	CONFIG_RESTART  /* only the next start does */
};

/*
 * The next setting from *id on (0 at first) that differs between a and b:
 * its name and what follows; *id moves behind it.  CONFIG_SAME when there is
 * none left.
 */
enum config_change config_diff(const struct config *a, const struct config *b,
    unsigned *id, const char **name);
/* The same of one setting, an enum config_setting_id; CONFIG_SAME = nobody
 * has decided. */
enum config_change config_change(unsigned id);
/* Takes over all that needs no restart; `from` gets texts in exchange and
 * is still to be freed. */
void config_take(struct config *to, struct config *from);

/* Master to child, symmetric.  config_get() returns -1 on a bad record. */
void config_put(struct buf *b, const struct config *c);
int config_get(struct wire_reader *r, struct config *c)
    __attribute__((warn_unused_result));

/* What --version and --help say. */
extern const char config_version[];
extern const char config_usage[];

#endif
