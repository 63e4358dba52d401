/* SPDX-License-Identifier: MIT */
/* chatapi -t: what a start would refuse, found out without one. */
#ifndef MASTER_CHECK_H
#define MASTER_CHECK_H

struct config;

/*
 * Looks at all that the settings name: the user, the database's directory
 * and files, the program, the certificate; as that user, when run by root.
 * What a start would refuse is one line on stderr and the status 2; what it
 * would take and somebody rue later is a warning there.  Takes what c holds.
 * Makes and opens no database, and binds no address.
 */
int check_main(struct config *c);

#endif
