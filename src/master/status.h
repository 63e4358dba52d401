/* SPDX-License-Identifier: MIT */
/* What `chatapi status` shows. */
#ifndef MASTER_STATUS_H
#define MASTER_STATUS_H

#define STATUS_MAX (64U * 1024) /* bytes of its JSON */

struct buf;
struct master;

/* Adds one JSON object; its members are described in chatapi(8). */
void status_json(const struct master *m, struct buf *b);

#endif
