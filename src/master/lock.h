/* SPDX-License-Identifier: MIT */
/*
 * One server or command per database: a flock'ed file beside it.  Used by
 * the master (whose writer inherits the descriptor, so that the lock falls
 * only when both are gone) and by operator's commands.
 */
#ifndef MASTER_LOCK_H
#define MASTER_LOCK_H

#include <stddef.h>

#define LOCK_WAIT_MS 5000
/* The control socket, beside the database too. */
#define LOCK_CONTROL_SUFFIX "-ctl"

/*
 * The name of a file beside the database.  Symbolic links in the database's
 * own name are resolved, so that every name of it has the same neighbours.
 * Returns new.
 */
char *lock_beside(const char *dbpath, const char *suffix);

/*
 * Takes the lock "<dbpath>-lock"; while another has it tries again for up to
 * wait_ms (0: once).  Returns the descriptor (close-on-exec), -1 with a
 * sentence in err and errno EWOULDBLOCK when another has it.
 */
int lock_take(const char *dbpath, unsigned wait_ms, char *err, size_t errsize)
    __attribute__((warn_unused_result));

#endif
