/* SPDX-License-Identifier: MIT */
/*
 * Understands an operator's subcommand and hands it to the function that
 * runs it.  A process of its own, short-lived; never serves anybody.
 */
#include "tool.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../common/config.h"
#include "../common/log.h"
#include "tool_int.h"

static const struct command {
	const char *noun;
	const char *verb; /* NULL: it has none */
	const char *args; /* for the usage line */
	int nargs;
	bool more; /* that many or more */
	bool creates;
	unsigned opts; /* enum tool_opt that it takes */
	tool_fn *fn;
	const char *what;
} commands[] = {
	{ "tenant", "create", "NAME", 1, false, true, 0, tool_tenant_create,
	    "make a tenant and its first API key, shown only now" },
	{ "tenant", "list", "", 0, false, false, 0, tool_tenant_list,
	    "list the tenants" },
	{ "tenant", "show", "TENANT", 1, false, false, 0, tool_tenant_show,
	    "show one tenant" },
	{ "tenant", "update", "TENANT FIELD=VALUE...", 2, true, false, 0,
	    tool_tenant_update,
	    "change a tenant; null clears, @FILE reads the value" },
	{ "tenant", "disable", "TENANT", 1, false, false, 0,
	    tool_tenant_disable, "refuse all that its users and backend ask" },
	{ "tenant", "enable", "TENANT", 1, false, false, 0, tool_tenant_enable,
	    "undo that" },
	{ "tenant", "delete", "TENANT", 1, false, false, 0, tool_tenant_delete,
	    "delete a tenant with all its data" },
	{ "key", "add", "TENANT", 1, false, false, 0, tool_key_add,
	    "make another API key for a tenant, shown only now" },
	{ "key", "list", "TENANT", 1, false, false, 0, tool_key_list,
	    "list a tenant's keys" },
	{ "key", "revoke", "TENANT KEY", 2, false, false, 0, tool_key_revoke,
	    "revoke a key by its key_id" },
	{ "user", "erase", "USER", 1, false, false, TOOL_TENANT | TOOL_QUIET,
	    tool_user_erase, "take one person out of a tenant" },
	{ "backup", NULL, "FILE", 1, false, false, TOOL_FORCE | TOOL_QUIET,
	    tool_backup, "copy the database to a new file, also in use" },
	{ "check", NULL, "[FILE]", 0, true, false, TOOL_FULL | TOOL_QUIET,
	    tool_check, "look for faults in the database or a backup" },
	{ "export", NULL, "FILE", 1, false, false,
	    TOOL_TENANT | TOOL_PASSPHRASE_FILE | TOOL_NO_SECRETS | TOOL_FORCE |
		TOOL_QUIET,
	    tool_export, "copy a tenant to a file, for another server" },
	{ "import", NULL, "FILE", 1, false, false,
	    TOOL_PASSPHRASE_FILE | TOOL_NO_SECRETS | TOOL_CREATE | TOOL_QUIET,
	    tool_import, "bring an exported tenant into the database" },
	{ "restore", NULL, "FILE", 1, false, true, TOOL_DISCARD | TOOL_QUIET,
	    tool_restore, "put a backup in the database's place" },
	{ "status", NULL, "", 0, false, false, 0, tool_status,
	    "show how the running server is; exits with 1 when none serves" },
};
#define NCOMMANDS (sizeof(commands) / sizeof(commands[0]))
#define ARGS_MAX 16

static const struct option {
	const char *name;
	enum tool_opt bit;
	const char *value; /* what it takes; NULL: nothing */
	bool needed;       /* wherever it is taken */
} options[] = {
	{ "--tenant", TOOL_TENANT, "TENANT", true },
	{ "--passphrase-file", TOOL_PASSPHRASE_FILE, "FILE", false },
	{ "--no-secrets", TOOL_NO_SECRETS, NULL, false },
	{ "--create", TOOL_CREATE, NULL, false },
	{ "--discard", TOOL_DISCARD, NULL, false },
	{ "--full", TOOL_FULL, NULL, false },
	{ "--force", TOOL_FORCE, NULL, false },
	{ "--quiet", TOOL_QUIET, NULL, false },
};
#define NOPTIONS (sizeof(options) / sizeof(options[0]))

static void
usage_options(FILE *to, unsigned opts)
{
	for (size_t i = 0; i < NOPTIONS; i++) {
		const struct option *o = &options[i];

		if ((opts & o->bit) != 0)
			(void)fprintf(to, " %s%s%s%s%s", o->needed ? "" : "[",
			    o->name, o->value != NULL ? " " : "",
			    o->value != NULL ? o->value : "",
			    o->needed ? "" : "]");
	}
}

/* How many commands begin with that word; NULL: with any. */
static size_t
count_noun(const char *noun)
{
	size_t n = 0;

	for (size_t i = 0; i < NCOMMANDS; i++)
		n += noun == NULL || strcmp(commands[i].noun, noun) == 0;
	return n;
}

/* Of the commands that begin with that word, or when none does of all. */
static void
usage(const char *noun)
{
	if (noun != NULL && count_noun(noun) == 0)
		noun = NULL;
	(void)printf("usage:\n");
	for (size_t i = 0; i < NCOMMANDS; i++) {
		const struct command *c = &commands[i];

		if (noun != NULL && strcmp(c->noun, noun) != 0)
			continue;
		(void)printf("  chatapi [-c FILE] [-d DSN] %s%s%s [--json]",
		    c->noun, c->verb != NULL ? " " : "",
		    c->verb != NULL ? c->verb : "");
		usage_options(stdout, c->opts);
		(void)printf("%s%s\n        %s\n",
		    c->args[0] != '\0' ? " " : "", c->args, c->what);
	}
}

/* On stderr: what could stand where these words do. */
static void
unknown(char **w, int n)
{
	bool noun = n > 0 && count_noun(w[0]) > 0;
	const char *gap = " ", *last = "";

	if (noun && n == 1)
		(void)fprintf(stderr, "chatapi: %s needs one of", w[0]);
	else
		(void)fprintf(stderr,
		    "chatapi: unknown command \"%s%s%s\"; there is%s%s",
		    n > 0 ? w[0] : "", noun ? " " : "", noun ? w[1] : "",
		    noun ? " " : "", noun ? w[0] : "");
	for (size_t i = 0; i < NCOMMANDS; i++) {
		const struct command *c = &commands[i];

		if (noun ? strcmp(c->noun, w[0]) != 0 :
			   strcmp(c->noun, last) == 0)
			continue;
		last = c->noun;
		(void)fprintf(stderr, "%s%s", gap, noun ? c->verb : c->noun);
		gap = ", ";
	}
	(void)fprintf(stderr, "; see chatapi %s%s--help\n", noun ? w[0] : "",
	    noun ? " " : "");
}

/* Takes an option that is not --json or --help: how many words, 0 none. */
static int
option(struct tool *t, int argc, char **argv)
{
	for (size_t i = 0; i < NOPTIONS; i++) {
		if (strcmp(options[i].name, argv[0]) != 0)
			continue;
		if (options[i].value != NULL && argc < 2)
			return 0;
		t->opts |= options[i].bit;
		if (options[i].value == NULL)
			return 1;
		t->value[i] = argv[1];
		return 2;
	}
	return 0;
}

/* Takes options out of the words; the number left, or -1. */
static int
words(struct tool *t, int argc, char **argv, char **out, bool *help)
{
	bool on = true;
	int n = 0, took;

	for (int i = 0; i < argc; i++) {
		if (on && strcmp(argv[i], "--") == 0)
			on = false;
		else if (on && strcmp(argv[i], "--json") == 0)
			t->json = true;
		else if (on &&
		    (strcmp(argv[i], "--help") == 0 ||
			strcmp(argv[i], "-h") == 0))
			*help = true;
		else if (on && (took = option(t, argc - i, argv + i)) > 0)
			i += took - 1;
		else if ((on && argv[i][0] == '-') || n == ARGS_MAX) {
			(void)fprintf(stderr,
			    "chatapi: unexpected argument \"%s\"; see chatapi "
			    "%s%s--help\n",
			    argv[i], n > 0 ? out[0] : "", n > 0 ? " " : "");
			return -1;
		} else
			out[n++] = argv[i];
	}
	return n;
}

const char *
tool_value(const struct tool *t, enum tool_opt bit)
{
	for (size_t i = 0; i < NOPTIONS; i++)
		if (options[i].bit == bit)
			return t->value[i];
	return NULL;
}

/* The command that the words name, and how many of them do. */
static const struct command *
find(char **w, int n, int *named)
{
	for (size_t i = 0; i < NCOMMANDS; i++) {
		const struct command *c = &commands[i];

		*named = c->verb != NULL ? 2 : 1;
		if (n >= *named && strcmp(c->noun, w[0]) == 0 &&
		    (c->verb == NULL || strcmp(c->verb, w[1]) == 0))
			return c;
	}
	return NULL;
}

/* Does it take what it was given?  If not, a line on stderr. */
static bool
fits(const struct tool *t, const struct command *c, int n)
{
	const char *gap = c->verb != NULL ? " " : "";
	const char *verb = c->verb != NULL ? c->verb : "";

	for (size_t i = 0; i < NOPTIONS; i++)
		if ((t->opts & ~c->opts & options[i].bit) != 0) {
			(void)fprintf(stderr,
			    "chatapi: %s%s%s has no option %s\n", c->noun, gap,
			    verb, options[i].name);
			return false;
		}
	if (n < c->nargs || (n > c->nargs && !c->more)) {
		(void)fprintf(stderr, "chatapi: %s%s%s takes %s\n", c->noun,
		    gap, verb, c->nargs == 0 ? "no argument" : c->args);
		return false;
	}
	return true;
}

static int
run(struct tool *t, int argc, char **argv)
{
	const struct command *c;
	char *w[ARGS_MAX + 1];
	bool help = false;
	int n, named = 0;

	if ((n = words(t, argc, argv, w, &help)) == -1)
		return 2;
	if (help) {
		usage(n > 0 ? w[0] : NULL);
		return 0;
	}
	if ((c = find(w, n, &named)) == NULL) {
		unknown(w, n);
		return 2;
	}
	if (!fits(t, c, n - named))
		return 2;
	t->create_option = (c->opts & TOOL_CREATE) != 0;
	t->may_create = c->creates || (t->opts & TOOL_CREATE) != 0;
	w[n] = NULL;
	return c->fn(t, w + named);
}

int
tool_main(struct config *config, int argc, char **argv)
{
	struct tool t = { .config = config, .lock_fd = -1 };
	int status;

	log_init("tool", -1);
	/* What a server tells its log is too much for a command. */
	log_set_level(config->log_level == LOG_LEVEL_INFO ? LOG_LEVEL_WARN :
							    config->log_level);
	buf_init(&t.op, WIRE_RECORD_MAX + WIRE_HEADER);
	buf_init(&t.answer, WIRE_RECORD_MAX + WIRE_HEADER);
	status = run(&t, argc, argv);
	tool_disconnect(&t);
	/* It may have held a secret. */
	if (t.op.len > 0)
		explicit_bzero(buf_head(&t.op), t.op.len);
	buf_free(&t.op);
	buf_free(&t.answer);
	config_free(config);
	if (fflush(stdout) == EOF && status == 0)
		status = tool_error("cannot write the result");
	return status;
}
