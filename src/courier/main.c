/* SPDX-License-Identifier: MIT */
/*
 * The courier's program: started by the master, never by hand.
 */
#include <curl/curl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "../common/proctitle.h"
#include "../common/records.h"
#include "courier.h"

int
main(int argc, char **argv)
{
	proctitle_init(argc, argv);
	if (argc > 1 && strcmp(argv[1], "--version") == 0)
		return puts("chatapi-courier " PACKAGE_VERSION) == EOF;
	if (argc > 1) {
		fputs("chatapi-courier: is started by chatapi\n", stderr);
		return 2;
	}
	if (sodium_init() == -1 || curl_global_init(CURL_GLOBAL_ALL) != 0)
		return 1;
	return courier_main();
}
