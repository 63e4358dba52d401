/* SPDX-License-Identifier: MIT */
/*
 * Takes from a child process what its role never needs, so that whoever
 * takes it over by a hole in it has little to work with: files by Landlock,
 * system calls by seccomp, each where the kernel has it.  There is no way
 * back.  The master stays as it is: children inherit what confines it.
 */
#ifndef COMMON_CONFINE_H
#define COMMON_CONFINE_H

#include <stdbool.h>
#include <stddef.h>

#include "records.h"

struct config;
struct secrets;

/*
 * Called once at the start: by the writer when it has opened the database, by
 * worker and courier before they do; files of the database are there then,
 * and stay the same ones while a server runs.  The key file of secrets that
 * have been loaded is out of reach afterwards.  Does nothing when the
 * configuration says so, and in builds that need more than a server does
 * (sanitizers, coverage).  The log says what could be done.
 */
void confine(enum role role, const struct config *config,
    const struct secrets *secrets);

/* Whether this build confines at all. */
extern const int confine_built;

/* ---- the two halves; for confine.c and tests ---- */
/*
 * Files (Landlock): the ABI in force, 0 where the kernel has none; -1 with
 * errno when it would not.  has_keys: the key file is not needed any more.
 */
int confine_files(enum role role, const struct config *config, bool has_keys);
/*
 * System calls (seccomp): 1, or 0 when built without libseccomp or the
 * kernel has none; -1 with errno when it would not.
 */
int confine_calls(enum role role);

#endif
