/* SPDX-License-Identifier: MIT */
/* The signals the master answers, as events of its loop. */
#ifndef MASTER_SIGNALS_H
#define MASTER_SIGNALS_H

struct master;
struct signals;

/* SIGTERM and SIGINT stop the server, SIGCHLD reaps, SIGHUP reloads. */
struct signals *signals_new(struct master *m);
void signals_free(struct signals *s);

#endif
