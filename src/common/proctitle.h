/* SPDX-License-Identifier: MIT */
/* The name under which ps shows a process. */
#ifndef COMMON_PROCTITLE_H
#define COMMON_PROCTITLE_H

/* Call first in main: moves the environment out of the way. */
void proctitle_init(int argc, char **argv);
/* "chatapi: worker 2"; also sets the kernel's 15-byte comm. */
void proctitle_set(const char *title);

#endif
