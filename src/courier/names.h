/* SPDX-License-Identifier: MIT */
/*
 * The files by which libc finds the addresses of names.  The courier's rules
 * are for those that were there at its start; where one is replaced by
 * another of its name, that one is out of reach.
 */
#ifndef COURIER_NAMES_H
#define COURIER_NAMES_H

#include <stdbool.h>

/* Which of the files are out of reach, a bit each. */
unsigned names_unreachable(void);

#endif
