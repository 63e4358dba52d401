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
	const char *verb;
	const char *args; /* for the usage line */
	int nargs;
	bool more; /* that many or more */
	bool creates;
	tool_fn *fn;
	const char *what;
} commands[] = {
	{ "tenant", "create", "NAME", 1, false, true, tool_tenant_create,
	    "make a tenant and its first API key, shown only now" },
	{ "tenant", "list", "", 0, false, false, tool_tenant_list,
	    "list the tenants" },
	{ "tenant", "show", "TENANT", 1, false, false, tool_tenant_show,
	    "show one tenant" },
	{ "tenant", "update", "TENANT FIELD=VALUE...", 2, true, false,
	    tool_tenant_update,
	    "change a tenant; null clears, @FILE reads the value" },
	{ "tenant", "disable", "TENANT", 1, false, false, tool_tenant_disable,
	    "refuse all that its users and backend ask" },
	{ "tenant", "enable", "TENANT", 1, false, false, tool_tenant_enable,
	    "undo that" },
	{ "tenant", "delete", "TENANT", 1, false, false, tool_tenant_delete,
	    "delete a tenant with all its data" },
	{ "key", "add", "TENANT", 1, false, false, tool_key_add,
	    "make another API key for a tenant, shown only now" },
	{ "key", "list", "TENANT", 1, false, false, tool_key_list,
	    "list a tenant's keys" },
	{ "key", "revoke", "TENANT KEY", 2, false, false, tool_key_revoke,
	    "revoke a key by its key_id" },
};
#define NCOMMANDS (sizeof(commands) / sizeof(commands[0]))
#define ARGS_MAX 16

static void
usage(FILE *to)
{
	(void)fprintf(to, "usage:\n");
	for (size_t i = 0; i < NCOMMANDS; i++) {
		const struct command *c = &commands[i];

		(void)fprintf(to,
		    "  chatapi [-c FILE] [-d DSN] %s %s [--json]%s%s\n"
		    "        %s\n",
		    c->noun, c->verb, c->nargs > 0 ? " " : "", c->args,
		    c->what);
	}
}

/* Takes options out of the words; the number left, or -1. */
static int
words(struct tool *t, int argc, char **argv, char **out, bool *help)
{
	bool options = true;
	int n = 0;

	for (int i = 0; i < argc; i++) {
		if (options && strcmp(argv[i], "--") == 0)
			options = false;
		else if (options && strcmp(argv[i], "--json") == 0)
			t->json = true;
		else if (options &&
		    (strcmp(argv[i], "--help") == 0 ||
			strcmp(argv[i], "-h") == 0))
			*help = true;
		else if ((options && argv[i][0] == '-') || n == ARGS_MAX) {
			(void)fprintf(stderr,
			    "chatapi: unexpected argument \"%s\"\n", argv[i]);
			return -1;
		} else
			out[n++] = argv[i];
	}
	return n;
}

static const struct command *
find(char **w, int n)
{
	if (n < 2)
		return NULL;
	for (size_t i = 0; i < NCOMMANDS; i++)
		if (strcmp(commands[i].noun, w[0]) == 0 &&
		    strcmp(commands[i].verb, w[1]) == 0)
			return &commands[i];
	return NULL;
}

static int
run(struct tool *t, int argc, char **argv)
{
	const struct command *c;
	char *w[ARGS_MAX + 1];
	bool help = false;
	int n;

	if ((n = words(t, argc, argv, w, &help)) == -1) {
		usage(stderr);
		return 2;
	}
	if (help) {
		usage(stdout);
		return 0;
	}
	if ((c = find(w, n)) == NULL) {
		(void)fprintf(stderr, "chatapi: unknown command \"%s%s%s\"\n",
		    n > 0 ? w[0] : "", n > 1 ? " " : "", n > 1 ? w[1] : "");
		usage(stderr);
		return 2;
	}
	if (n - 2 < c->nargs || (n - 2 > c->nargs && !c->more)) {
		(void)fprintf(stderr, "chatapi: %s %s takes %s\n", c->noun,
		    c->verb, c->nargs == 0 ? "no argument" : c->args);
		return 2;
	}
	t->may_create = c->creates;
	w[n] = NULL;
	return c->fn(t, w + 2);
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
