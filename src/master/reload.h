/* SPDX-License-Identifier: MIT */
/* SIGHUP: reads the settings again and hands on what can change. */
#ifndef MASTER_RELOAD_H
#define MASTER_RELOAD_H

struct buf;
struct master;
struct reload;

/* Borrows the arguments that the server was started with. */
struct reload *reload_new(struct master *m, int argc, char **argv);
void reload_free(struct reload *r);

/* Begins; while the server starts or reloads, one more is remembered. */
void reload_begin(struct reload *r);
/* The server serves now: what was remembered is begun. */
void reload_serving(struct reload *r);

/* The replacement of the children has ended: a replace_done. */
void reload_done(struct master *m, const char *why);

/* What `chatapi status` says of it: one JSON object. */
void reload_status(const struct reload *r, struct buf *b);

#endif
