/* SPDX-License-Identifier: MIT */
/*
 * The settings: their names, defaults and what each accepts.  Run by the
 * process that reads the configuration.  A reader of a value touches only
 * its own fields and logs nothing but a warning about the value.
 */
#include "config_values.h"

#include <ctype.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "duration.h"
#include "log.h"
#include "mem.h"

#define RATE_MAX 1000000
#define WS_MAX 10000
#define RETRY_MAX 100
#define HOUR_MS 3600000
#define MINUTE_MS UINT64_C(60000)
#define KEY_SHORT 16
#define USER_NAME_MAX 32

static int
parse_number(const char *s, uint64_t least, uint64_t most, uint64_t *out)
{
	size_t n = strlen(s);

	if (n == 0 || n > 18 || strspn(s, "0123456789") != n)
		return -1;
	*out = strtoull(s, NULL, 10);
	return *out < least || *out > most ? -1 : 0;
}

char *
config_next_item(const char **s)
{
	const char *start = *s + strspn(*s, " \t");
	size_t len = strcspn(start, ",");

	*s = start[len] == ',' ? start + len + 1 : NULL;
	while (len > 0 && (start[len - 1] == ' ' || start[len - 1] == '\t'))
		len--;
	return mem_strndup(start, len);
}

#define PATH_SIZE sizeof(((struct dsn *)0)->path)

/* Makes the path absolute: a log line that names it should say which file. */
static int
make_absolute(char path[PATH_SIZE])
{
	char cwd[PATH_SIZE], whole[PATH_SIZE];
	int n;

	if (path[0] == '/')
		return 0;
	if (getcwd(cwd, sizeof(cwd)) == NULL)
		return -1;
	n = snprintf(whole, sizeof(whole), "%s/%s",
	    strcmp(cwd, "/") == 0 ? "" : cwd, path);
	if (n < 0 || (size_t)n >= sizeof(whole))
		return -1;
	memcpy(path, whole, (size_t)n + 1);
	return 0;
}

static int
parse_dsn(struct config_value *v)
{
	char warn[256], quoted[300];

	if (dsn_parse(v->text, &v->config->dsn, v->why, sizeof(v->why), warn,
		sizeof(warn)) == -1)
		return -1;
	if (make_absolute(v->config->dsn.path) == -1) {
		snprintf(v->why, sizeof(v->why),
		    "the working directory cannot be used"
		    " or the path is too long");
		return -1;
	}
	if (warn[0] != '\0')
		log_warn("database name has more than is used", "detail=%s",
		    log_quote(quoted, sizeof(quoted), warn, strlen(warn)));
	v->config->dsn_text = mem_strdup(v->text);
	return 0;
}

static int
parse_log_level(struct config_value *v)
{
	return log_level_parse(v->text, &v->config->log_level);
}

static unsigned
count_cpus(void)
{
	cpu_set_t set;
	int n;

	if (sched_getaffinity(0, sizeof(set), &set) == -1)
		n = (int)sysconf(_SC_NPROCESSORS_ONLN);
	else
		n = CPU_COUNT(&set);
	if (n < 1)
		return 1;
	return n > CONFIG_WORKERS_MAX ? CONFIG_WORKERS_MAX : (unsigned)n;
}

/* Unset means as many as there are CPUs. */
static int
parse_workers(struct config_value *v)
{
	uint64_t n;

	if (v->text == NULL) {
		v->config->workers = count_cpus();
		return 0;
	}
	if (parse_number(v->text, 1, CONFIG_WORKERS_MAX, &n) == -1)
		return -1;
	v->config->workers = (unsigned)n;
	return 0;
}

static int
parse_rate_limit(struct config_value *v)
{
	uint64_t n;

	if (parse_number(v->text, 0, RATE_MAX, &n) == -1)
		return -1;
	v->config->rate_limit = (uint32_t)n;
	return 0;
}

static int
parse_master_key(struct config_value *v)
{
	size_t i, n;

	if (v->text == NULL)
		return 0;
	n = strlen(v->text);
	/* It must fit into a header line. */
	for (i = 0; i < n; i++)
		if (v->text[i] <= 0x20 || v->text[i] >= 0x7f)
			return -1;
	if (n == 0)
		return -1;
	if (n < KEY_SHORT)
		log_warn("MASTER_API_KEY is short and may be guessed",
		    "least_bytes=%d", KEY_SHORT);
	v->config->master_key = mem_strdup(v->text);
	return 0;
}

/* "*" or scheme://host[:port], as a browser writes it in Origin. */
static bool
origin_valid(const char *s)
{
	const char *sep = strstr(s, "://"), *p;

	if (strcmp(s, "*") == 0)
		return true;
	if (sep == NULL || sep == s || !isalpha((unsigned char)*s) ||
	    sep[3] == '\0')
		return false;
	for (p = s; p < sep; p++)
		if (!isalnum((unsigned char)*p) && strchr("+-.", *p) == NULL)
			return false;
	for (p = sep + 3; *p != '\0'; p++)
		if (!isalnum((unsigned char)*p) && strchr(".-_[]:", *p) == NULL)
			return false;
	return true;
}

static int
parse_origins(struct config_value *v)
{
	const char *rest = v->text;
	char *item;
	bool good = true;

	if (v->text == NULL)
		return 0;
	while (good && rest != NULL) {
		item = config_next_item(&rest);
		good = origin_valid(item);
		free(item);
	}
	if (!good)
		return -1;
	v->config->allowed_origins = mem_strdup(v->text);
	return 0;
}

static int
parse_ws_max(struct config_value *v)
{
	uint64_t n;

	if (parse_number(v->text, 1, WS_MAX, &n) == -1)
		return -1;
	v->config->ws_max_per_user = (unsigned)n;
	return 0;
}

static int
parse_drain(struct config_value *v)
{
	uint64_t *ms = &v->config->drain_timeout_ms;

	if (duration_parse(v->text, ms) == -1 || *ms > HOUR_MS)
		return -1;
	return 0;
}

static int
parse_retry_max(struct config_value *v)
{
	uint64_t n;

	if (parse_number(v->text, 1, RETRY_MAX, &n) == -1)
		return -1;
	v->config->retry_max_attempts = (unsigned)n;
	return 0;
}

static int
parse_retry_interval(struct config_value *v)
{
	uint64_t *ms = &v->config->retry_interval_ms;

	if (duration_parse(v->text, ms) == -1 || *ms == 0 ||
	    *ms > UINT64_C(24) * HOUR_MS)
		return -1;
	return 0;
}

static int
parse_presence_grace(struct config_value *v)
{
	uint64_t *ms = &v->config->presence_grace_ms;

	if (duration_parse(v->text, ms) == -1 || *ms > HOUR_MS)
		return -1;
	return 0;
}

static int
parse_resume_wait(struct config_value *v)
{
	uint64_t *ms = &v->config->resume_wait_ms;

	if (duration_parse(v->text, ms) == -1 || *ms == 0 || *ms > MINUTE_MS)
		return -1;
	return 0;
}

char *
config_absolute(const char *text)
{
	char path[PATH_SIZE];
	size_t n = strlen(text);

	if (n == 0 || n >= sizeof(path))
		return NULL;
	memcpy(path, text, n + 1);
	return make_absolute(path) == -1 ? NULL : mem_strdup(path);
}

static int
parse_key_file(struct config_value *v)
{
	if (v->text == NULL)
		return 0;
	v->config->key_file = config_absolute(v->text);
	return v->config->key_file == NULL ? -1 : 0;
}

static int
parse_console(struct config_value *v)
{
	v->config->console = strcmp(v->text, "yes") == 0;
	return v->config->console || strcmp(v->text, "no") == 0 ? 0 : -1;
}

static int
parse_console_dir(struct config_value *v)
{
	v->config->console_dir = config_absolute(v->text);
	return v->config->console_dir == NULL ? -1 : 0;
}

static int
parse_user(struct config_value *v)
{
	size_t n;

	if (v->text == NULL)
		return 0;
	n = strlen(v->text);
	if (n == 0 || n > USER_NAME_MAX || v->text[0] == '-' ||
	    (v->text[0] >= '0' && v->text[0] <= '9'))
		return -1;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)v->text[i]) &&
		    strchr("._-$", v->text[i]) == NULL)
			return -1;
	v->config->user = mem_strdup(v->text);
	return 0;
}

static int
parse_confine(struct config_value *v)
{
	v->config->confine = strcmp(v->text, "yes") == 0;
	return v->config->confine || strcmp(v->text, "no") == 0 ? 0 : -1;
}

static int
parse_allow_private(struct config_value *v)
{
	uint64_t n;

	if (parse_number(v->text, 0, 1, &n) == -1)
		return -1;
	v->config->webhook_allow_private = n == 1;
	return 0;
}

const struct config_setting config_settings[CONFIG_SETTINGS] = {
	[SETTING_LISTEN_ADDR] = { "LISTEN_ADDR", 'l', ":8080",
	    "it must be host:port, :port or [IPv6]:port with a port of 1 to"
	    " 65535, or unix:/path, several separated by commas",
	    false, config_parse_listen, false },
	[SETTING_DATABASE_DSN] = { "DATABASE_DSN", 'd',
	    "file:chatapi.db?_journal_mode=WAL&_busy_timeout=5000",
	    "it must name a database file", false, parse_dsn, false },
	[SETTING_LOG_LEVEL] = { "LOG_LEVEL", 'L', "info",
	    "it must be error, warn, info or debug", false, parse_log_level,
	    false },
	[SETTING_WORKERS] = { "WORKERS", 'w', NULL,
	    "it must be a whole number from 1 to 64", false, parse_workers,
	    false },
	[SETTING_DEFAULT_RATE_LIMIT] = { "DEFAULT_RATE_LIMIT", 0, "100",
	    "it must be a whole number of requests a second from 0 (none) to"
	    " 1000000",
	    false, parse_rate_limit, false },
	[SETTING_MASTER_API_KEY] = { "MASTER_API_KEY", 0, NULL,
	    "it must be printable ASCII without spaces", true, parse_master_key,
	    false },
	[SETTING_ALLOWED_ORIGINS] = { "ALLOWED_ORIGINS", 0, NULL,
	    "it must be * or origins like https://chat.example.org, separated"
	    " by commas, each without a path",
	    false, parse_origins, false },
	[SETTING_WS_MAX_CONNECTIONS_PER_USER] = { "WS_MAX_CONNECTIONS_PER_USER",
	    0, "5", "it must be a whole number from 1 to 10000", false,
	    parse_ws_max, false },
	[SETTING_SHUTDOWN_DRAIN_TIMEOUT] = { "SHUTDOWN_DRAIN_TIMEOUT", 0, "10s",
	    "it must be a duration like 10s or 1m30s, at most 1h", false,
	    parse_drain, false },
	[SETTING_RETRY_MAX_ATTEMPTS] = { "RETRY_MAX_ATTEMPTS", 0, "5",
	    "it must be a whole number from 1 to 100", false, parse_retry_max,
	    false },
	[SETTING_RETRY_INTERVAL] = { "RETRY_INTERVAL", 0, "30s",
	    "it must be a duration like 30s, above 0 and at most 24h", false,
	    parse_retry_interval, false },
	[SETTING_PRESENCE_GRACE] = { "PRESENCE_GRACE", 0, "5s",
	    "it must be a duration like 5s or 500ms, at most 1h", false,
	    parse_presence_grace, false },
	[SETTING_RESUME_WAIT] = { "RESUME_WAIT", 0, "30s",
	    "it must be a duration like 30s, above 0 and at most 1m", false,
	    parse_resume_wait, false },
	[SETTING_KEY_FILE] = { "KEY_FILE", 0, NULL,
	    "it must name a file outside the database", false, parse_key_file,
	    false },
	[SETTING_WEBHOOK_ALLOW_PRIVATE] = { "WEBHOOK_ALLOW_PRIVATE", 0, "0",
	    "it must be 0 or 1", false, parse_allow_private, false },
	[SETTING_USER] = { "USER", 'U', NULL, "it must be the name of a user",
	    false, parse_user, true },
	[SETTING_CONFINE] = { "CONFINE", 0, "yes", "it must be yes or no",
	    false, parse_confine, false },
	[SETTING_CONSOLE] = { "CONSOLE", 0, "yes", "it must be yes or no",
	    false, parse_console, false },
	[SETTING_CONSOLE_DIR] = { "CONSOLE_DIR", 0, CHATAPI_DATADIR "/console",
	    "it must name a directory", false, parse_console_dir, false },
	[SETTING_TLS_CERT] = { "TLS_CERT", 0, NULL,
	    "it must name a PEM file with the certificate and its chain", false,
	    config_parse_tls_cert, false },
	[SETTING_TLS_KEY] = { "TLS_KEY", 0, NULL,
	    "it must name a PEM file with the key of TLS_CERT", false,
	    config_parse_tls_key, false },
	[SETTING_TLS_LISTEN_ADDR] = { "TLS_LISTEN_ADDR", 0, NULL,
	    "it must be host:port, :port or [IPv6]:port with a port of 1 to"
	    " 65535, or unix:/path, several separated by commas",
	    false, config_parse_tls_listen, false },
	[SETTING_TRUSTED_PROXIES] = { "TRUSTED_PROXIES", 0, NULL,
	    "it must be addresses, networks like 10.0.0.0/8 or the word unix,"
	    " separated by commas, at most 32",
	    false, config_parse_proxies, false },
};
