/* SPDX-License-Identifier: MIT */
/*
 * The courier's program: started by the master, never by hand.
 */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "../common/proctitle.h"
#include "../common/records.h"
#include "courier.h"
#include "libcurl.h"

int
main(int argc, char **argv)
{
	proctitle_init(argc, argv);
	if (argc > 1 && strcmp(argv[1], "--version") == 0)
		return libcurl_load() == -1 ||
		    printf("chatapi-courier " PACKAGE_VERSION " (%s)\n",
			curl.version()) < 0;
	if (argc > 1) {
		fputs("chatapi-courier: is started by chatapi\n", stderr);
		return 2;
	}
	if (sodium_init() == -1)
		return 1;
	return courier_main();
}
