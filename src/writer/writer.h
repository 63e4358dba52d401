/* SPDX-License-Identifier: MIT */
/* The writer process: the only one that writes to the database. */
#ifndef WRITER_WRITER_H
#define WRITER_WRITER_H

/* The role's main function, with CHILD_FD_BUS, CHILD_FD_PAGE and
 * CHILD_FD_LOCK open; the result is the exit status. */
int writer_main(void);

#endif
