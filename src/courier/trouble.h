/* SPDX-License-Identifier: MIT */
/*
 * How often the log is told of tenants' endpoints that fail: the first time,
 * then once a minute with how often it was meanwhile, so that one of them
 * cannot fill it.  Pure.
 */
#ifndef COURIER_TROUBLE_H
#define COURIER_TROUBLE_H

#include <stdint.h>

/* Between two lines about the same of a tenant's endpoint. */
#define TROUBLE_EVERY_MS UINT64_C(60000)

enum trouble {
	TROUBLE_FAILED, /* a try */
	TROUBLE_DEAD,   /* the last of a delivery's tries */
	TROUBLE_OVER, /* a try that did not fail; counts behind one that did */
	TROUBLE_KINDS
};

struct troubles;

struct troubles *troubles_new(void);
void troubles_free(struct troubles *ts);
/*
 * It has happened.  0: the log need not be told now; else how often since it
 * was told that last, this time included.  now_ms > 0 never goes back.  Some
 * thousand tenants are remembered, others begin anew.
 */
uint64_t troubles_note(struct troubles *ts, uint64_t tenant, enum trouble what,
    uint64_t now_ms) __attribute__((warn_unused_result));

#endif
