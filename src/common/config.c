/* SPDX-License-Identifier: MIT */
/*
 * Puts the configuration together: flags before environment before file
 * before defaults.  Run once by the process that the operator starts; its
 * children get the result in one record and look at nothing else.
 */
#include "config.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_values.h"
#include "log.h"
#include "mem.h"

#define OPTION_VERSION 'V'
#define OPTION_HELP 'H'

const char config_version[] = "chatapi " PACKAGE_VERSION
#ifndef HAVE_SYSTEMD
			      ", built without libsystemd"
#endif
    ;

const char config_usage[] =
    "usage: chatapi [-t] [-c FILE] [-w N] [-l ADDR]... [-d DSN]"
    " [--log-level L]\n"
    "       chatapi [options] COMMAND ...\n"
    "\n"
    "  -c FILE            read `key = value` lines from FILE\n"
    "  -w, --workers N    worker processes, 1 to 64 (default: one a CPU)\n"
    "  -l ADDR            listen on host:port, :port, [IPv6]:port or\n"
    "                     unix:/path; may be repeated (default :8080, IPv4\n"
    "                     and IPv6)\n"
    "  -d DSN             database (default file:chatapi.db)\n"
    "  --user NAME        serve as this user; needed when root starts it\n"
    "  --log-level L      error, warn, info or debug (default info)\n"
    "  -t, --check-config check the configuration and exit\n"
    "  --version          print the version and exit\n"
    "  --help             print this and exit\n"
    "\n"
    "commands:\n"
    "  tenant create NAME | tenant list | tenant show TENANT\n"
    "  tenant update TENANT FIELD=VALUE... | tenant disable TENANT\n"
    "  tenant enable TENANT | tenant delete TENANT\n"
    "  key add TENANT | key revoke TENANT KEY | key list TENANT\n"
    "  user erase --tenant TENANT [--quiet] USER\n"
    "  status\n"
    "  backup [--force] [--quiet] FILE\n"
    "  check [--full] [--quiet] [FILE]\n"
    "  export --tenant TENANT [--passphrase-file FILE | --no-secrets]\n"
    "         [--force] [--quiet] FILE\n"
    "  import [--passphrase-file FILE | --no-secrets] [--create] [--quiet]"
    " FILE\n"
    "  restore [--discard] [--quiet] FILE\n"
    "each also takes --json, and --help\n"
    "\n"
    "environment, and keys of FILE in lower case:\n"
    "  LISTEN_ADDR DATABASE_DSN LOG_LEVEL WORKERS DEFAULT_RATE_LIMIT\n"
    "  MASTER_API_KEY ALLOWED_ORIGINS WS_MAX_CONNECTIONS_PER_USER\n"
    "  SHUTDOWN_DRAIN_TIMEOUT RETRY_MAX_ATTEMPTS RETRY_INTERVAL\n"
    "  PRESENCE_GRACE RESUME_WAIT KEY_FILE WEBHOOK_ALLOW_PRIVATE CONFINE\n"
    "  CONSOLE CONSOLE_DIR TLS_CERT TLS_KEY TLS_LISTEN_ADDR TRUSTED_PROXIES\n"
    "and user, only in FILE.\n"
    "A flag beats the environment, which beats the file.";

static const struct option options[] = {
	{ "workers", required_argument, NULL, 'w' },
	{ "log-level", required_argument, NULL, 'L' },
	{ "user", required_argument, NULL, 'U' },
	{ "check-config", no_argument, NULL, 't' },
	{ "version", no_argument, NULL, OPTION_VERSION },
	{ "help", no_argument, NULL, OPTION_HELP },
	{ NULL, 0, NULL, 0 },
};

/* What the command line says. */
struct flags {
	struct config_origin origins[CONFIG_SETTINGS];
	const char *file;
	enum config_action action;
	int first; /* of the words that are no options */
};

void
config_origin_set(struct config_origin *o, const char *text, const char *source)
{
	char *new_text = mem_strdup(text), *new_source = mem_strdup(source);

	if (o->text != NULL)
		explicit_bzero(o->text, strlen(o->text));
	free(o->text);
	free(o->source);
	o->text = new_text;
	o->source = new_source;
}

void
config_origins_free(struct config_origin origins[CONFIG_SETTINGS])
{
	size_t i;

	for (i = 0; i < CONFIG_SETTINGS; i++) {
		if (origins[i].text != NULL)
			explicit_bzero(origins[i].text,
			    strlen(origins[i].text));
		free(origins[i].text);
		free(origins[i].source);
	}
	memset(origins, 0, CONFIG_SETTINGS * sizeof(origins[0]));
}

/* A flag's value; a repeated -l makes one comma-separated text. */
static void
add_flag(struct flags *f, int ch, const char *value, const char *source)
{
	struct config_origin *o;
	char *joined;
	size_t i;

	for (i = 0; i < CONFIG_SETTINGS; i++)
		if (config_settings[i].flag == ch)
			break;
	if (i == CONFIG_SETTINGS)
		return;
	o = &f->origins[i];
	if (i == SETTING_LISTEN_ADDR && o->text != NULL) {
		if (asprintf(&joined, "%s,%s", o->text, value) == -1)
			abort();
		config_origin_set(o, joined, source);
		free(joined);
	} else
		config_origin_set(o, value, source);
}

/* What getopt_long() stopped at, as the operator wrote it. */
static int
refuse_option(int ch, char **argv, char *err, size_t errsize)
{
	const char *word = argv[optind - 1];
	char letter[3] = { '-', (char)optopt, '\0' };

	if (strncmp(word, "--", 2) != 0 && optopt != 0)
		word = letter;
	snprintf(err, errsize,
	    ch == ':' ? "flag %.64s needs a value; see chatapi --help" :
			"flag %.64s is unknown or takes no value; see chatapi"
			" --help",
	    word);
	return -1;
}

static int
read_flags(struct flags *f, int argc, char **argv, char *err, size_t errsize)
{
	char source[32];
	int ch, index;

	optind = 0; /* glibc: begin anew */
	opterr = 0;
	f->action = CONFIG_RUN;
	for (;;) {
		index = -1;
		ch = getopt_long(argc, argv, "+:c:d:l:tw:", options, &index);
		switch (ch) {
		case -1:
			f->first = optind;
			if (optind < argc && f->action == CONFIG_RUN)
				f->action = CONFIG_TOOL;
			return 0;
		case 'c':
			f->file = optarg;
			break;
		case 't':
			f->action = CONFIG_CHECK;
			break;
		case OPTION_VERSION:
			f->action = CONFIG_VERSION;
			return 0;
		case OPTION_HELP:
			f->action = CONFIG_HELP;
			return 0;
		case '?':
		case ':':
			return refuse_option(ch, argv, err, errsize);
		default:
			if (index == -1)
				snprintf(source, sizeof(source), "flag -%c",
				    ch);
			else
				snprintf(source, sizeof(source), "flag --%s",
				    options[index].name);
			add_flag(f, ch, optarg, source);
		}
	}
}

static void
read_environment(struct config_origin origins[CONFIG_SETTINGS])
{
	const char *name, *value;
	char source[64];
	size_t i;

	for (i = 0; i < CONFIG_SETTINGS; i++) {
		name = config_settings[i].name;
		value = getenv(name);
		if (value == NULL || *value == '\0' ||
		    config_settings[i].not_environment)
			continue;
		snprintf(source, sizeof(source), "environment %s", name);
		config_origin_set(&origins[i], value, source);
	}
	/* Beside TLS an empty LISTEN_ADDR means something. */
	value = getenv("LISTEN_ADDR");
	if (value != NULL && *value == '\0' &&
	    origins[SETTING_TLS_CERT].text != NULL)
		config_origin_set(&origins[SETTING_LISTEN_ADDR], value,
		    "environment LISTEN_ADDR");
}

/* The file's empty value of a setting unsets it, but for one. */
static void
forget_empty_listen(struct config_origin origins[CONFIG_SETTINGS])
{
	struct config_origin *o = &origins[SETTING_LISTEN_ADDR];

	if (o->text == NULL || *o->text != '\0' ||
	    origins[SETTING_TLS_CERT].text != NULL)
		return;
	free(o->text);
	free(o->source);
	memset(o, 0, sizeof(*o));
}

/* Turns the text of one setting into its fields. */
static int
apply_setting(struct config *c, const struct config_setting *s,
    const struct config_origin *o, char *err, size_t errsize)
{
	struct config_value v = { .config = c };

	v.text = o->text != NULL ? o->text : s->fallback;
	snprintf(v.why, sizeof(v.why), "%s", s->allowed);
	if (s->parse(&v) == 0)
		return 0;
	if (s->secret)
		snprintf(err, errsize, "%s: this %s is not allowed: %s",
		    o->source, s->name, v.why);
	else
		snprintf(err, errsize, "%s: %s \"%.100s\" is not allowed: %s",
		    o->source != NULL ? o->source : "default", s->name, v.text,
		    v.why);
	return -1;
}

static int
apply_settings(struct config *c,
    const struct config_origin origins[CONFIG_SETTINGS], char *err,
    size_t errsize)
{
	const size_t first = SETTING_LOG_LEVEL;
	size_t i;

	/* The level first: the others may warn. */
	if (apply_setting(c, &config_settings[first], &origins[first], err,
		errsize) == -1)
		return -1;
	log_set_level(c->log_level);
	for (i = 0; i < CONFIG_SETTINGS; i++)
		if (i != first &&
		    apply_setting(c, &config_settings[i], &origins[i], err,
			errsize) == -1)
			return -1;
	return 0;
}

/* An operator's command needs of the file no more than the database. */
static void
advise_tool(const char *file, char *err, size_t errsize)
{
	size_t len = strlen(err);

	(void)snprintf(err + len, errsize - len,
	    "; a command that shall not wait for a sound %.100s takes -d DSN "
	    "without -c",
	    file);
}

int
config_load(struct config *c, int argc, char **argv, enum config_action *action,
    int *first_arg, char *err, size_t errsize)
{
	struct config_origin origins[CONFIG_SETTINGS] = { 0 };
	struct flags flags = { 0 };
	size_t i;
	int res = -1;

	memset(c, 0, sizeof(*c));
	if (read_flags(&flags, argc, argv, err, errsize) == -1)
		goto out;
	*action = flags.action;
	*first_arg = flags.first;
	if (flags.action == CONFIG_HELP || flags.action == CONFIG_VERSION) {
		res = 0;
		goto out;
	}
	if (flags.action == CONFIG_CHECK && flags.first < argc) {
		snprintf(err, errsize,
		    "\"%.64s\" is one word too many; see"
		    " chatapi --help",
		    argv[flags.first]);
		goto out;
	}
	if (flags.file != NULL &&
	    config_file_read(flags.file, origins, err, errsize) == -1)
		goto out;
	read_environment(origins);
	forget_empty_listen(origins);
	for (i = 0; i < CONFIG_SETTINGS; i++)
		if (flags.origins[i].text != NULL)
			config_origin_set(&origins[i], flags.origins[i].text,
			    flags.origins[i].source);
	c->check_only = flags.action == CONFIG_CHECK;
	if (apply_settings(c, origins, err, errsize) == -1 ||
	    config_listen_check(c, err, errsize) == -1) {
		config_free(c);
		goto out;
	}
	if (c->allowed_origins == NULL && flags.action != CONFIG_TOOL)
		log_info("ALLOWED_ORIGINS is not set: only pages of the"
			 " server's own origin may connect",
		    NULL);
	res = 0;
out:
	if (res == -1 && flags.action == CONFIG_TOOL && flags.file != NULL)
		advise_tool(flags.file, err, errsize);
	config_origins_free(origins);
	config_origins_free(flags.origins);
	return res;
}

void
config_free(struct config *c)
{
	int i;

	for (i = 0; i < c->nlisten; i++)
		free(c->listen[i]);
	for (i = 0; i < c->ntls_listen; i++)
		free(c->tls_listen[i]);
	free(c->trusted_proxies);
	free(c->tls_cert);
	free(c->tls_key);
	if (c->master_key != NULL)
		explicit_bzero(c->master_key, strlen(c->master_key));
	free(c->master_key);
	free(c->dsn_text);
	free(c->allowed_origins);
	free(c->key_file);
	free(c->user);
	free(c->console_dir);
	memset(c, 0, sizeof(*c));
}
