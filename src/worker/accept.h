/* SPDX-License-Identifier: MIT */
/* What a client wants to be answered in: the Accept header (RFC 9110,
 * section 12.5.1).  Pure. */
#ifndef WORKER_ACCEPT_H
#define WORKER_ACCEPT_H

#include <stdbool.h>

/*
 * Whether JSON is wanted where plain text is what one gets without asking:
 * the header names application/json, or application with a star, and gives
 * it no less weight than text/plain.  NULL = no header.
 */
bool accept_json(const char *accept);

#endif
