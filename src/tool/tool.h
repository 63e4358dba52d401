/* SPDX-License-Identifier: MIT */
/* The operator's subcommands: chatapi tenant …, chatapi key … */
#ifndef TOOL_TOOL_H
#define TOOL_TOOL_H

struct config;

/*
 * Runs one subcommand; argv[0] is its first word.  Takes config.  Returns
 * the exit status: 0 done, 1 refused or failed (one line on stderr), 2 not
 * understood.
 */
int tool_main(struct config *config, int argc, char **argv);

#endif
