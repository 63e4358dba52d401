/* SPDX-License-Identifier: MIT */
/* Which process this is, and whose main function it therefore runs. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config.h"
#include "common/log.h"
#include "common/proctitle.h"
#include "master/check.h"
#include "master/master.h"
#include "tool/tool.h"
#include "worker/worker.h"
#include "writer/writer.h"

int
main(int argc, char **argv)
{
	struct config c;
	enum config_action action;
	char err[512];
	int first;

	proctitle_init(argc, argv);
	if (sodium_init() == -1)
		return 1;
	if (argc > 2 && strcmp(argv[1], "--role") == 0)
		return argc == 5 ? worker_main(atoi(argv[4])) : writer_main();
	log_init("chatapi", -1);
	if (config_load(&c, argc, argv, &action, &first, err, sizeof(err)))
		return log_complain(err), 2;
	if (action == CONFIG_RUN)
		return master_main(&c, PKGLIBEXECDIR, argc, argv);
	if (action == CONFIG_TOOL)
		return tool_main(&c, argc - first, argv + first);
	if (action == CONFIG_CHECK)
		return check_main(&c);
	config_free(&c);
	return puts(action == CONFIG_HELP ? config_usage : config_version) < 0;
}
