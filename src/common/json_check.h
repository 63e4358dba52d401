/* SPDX-License-Identifier: MIT */
/*
 * Strict RFC 8259 check of a text before json-c parses it: json-c accepts
 * more than the grammar, saturates big integers and turns lone surrogates
 * into U+FFFD.  Pure: no allocation, no I/O.
 */
#ifndef COMMON_JSON_CHECK_H
#define COMMON_JSON_CHECK_H

#include <stddef.h>

/* Deepest nesting accepted in a whole request or frame: meta may nest 32
 * arrays and objects, inside a `data` member of the frame's object. */
#define JSON_DEPTH_MAX 34

enum json_check {
	JSON_CHECK_OK,
	JSON_CHECK_SYNTAX,    /* not JSON, or bytes after it */
	JSON_CHECK_UTF8,      /* a string that is not UTF-8 */
	JSON_CHECK_SURROGATE, /* \ud800..\udfff without its other half */
	JSON_CHECK_NUMBER,    /* would not survive: an integer outside
				 * int64/uint64, a real that overflows */
	JSON_CHECK_DEPTH,     /* more than depth_max nested */
	JSON_CHECK_KEY        /* a member's name with \u0000, which json-c
				 * would cut short */
};

/* Checks one JSON value with optional white space around it; depth_max is
 * at most 64. */
enum json_check json_check(const char *s, size_t len, int depth_max);
/* A sentence for the client: what is wrong. */
const char *json_check_message(enum json_check);

#endif
