/* SPDX-License-Identifier: MIT */
/* What a client's frames ask for: one table of types and their handlers. */
#ifndef WORKER_WS_COMMANDS_H
#define WORKER_WS_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>

#include "../common/outcome.h"
#include "../common/records.h"

struct ws_conn;

#define WS_CONTENT_MAX (16 * 1024)
#define WS_META_MAX (16 * 1024)

/* Runs one text message, valid UTF-8: answers, or an error frame. */
void ws_commands_run(struct ws_conn *c, const char *text, size_t len);
/* The i-th type of frame that is taken, NULL behind the last; for the test
 * that compares them with doc/asyncapi.json. */
const char *ws_commands_type(size_t i, bool *rated);
/* The connection goes: nobody waits for its operations any more. */
void ws_commands_cancel(struct ws_conn *c);

#endif
