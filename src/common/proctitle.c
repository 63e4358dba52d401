/* SPDX-License-Identifier: MIT */
/*
 * Writes a title over the memory of the arguments and the environment, which
 * is what ps reads.  Every process; used before anything keeps a pointer
 * into the environment.
 */
#include "proctitle.h"

#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "mem.h"

static char *proctitle_area;
static size_t proctitle_size;

/* The strings must follow each other without a gap to be one area. */
static char *
proctitle_extend(char *end, char **strings)
{
	for (int i = 0; strings[i] != NULL; i++)
		if (strings[i] == end)
			end += strlen(strings[i]) + 1;
	return end;
}

void
proctitle_init(int argc, char **argv)
{
	char *end, **env;
	int n = 0;

	if (argc < 1 || argv[0] == NULL || proctitle_area != NULL)
		return;
	end = proctitle_extend(argv[0], argv);
	end = proctitle_extend(end, environ);
	proctitle_area = argv[0];
	proctitle_size = (size_t)(end - argv[0]);
	for (int i = 0; i < argc; i++)
		argv[i] = mem_strdup(argv[i]);
	while (environ[n] != NULL)
		n++;
	env = mem_alloc((size_t)(n + 1) * sizeof(*env));
	for (int i = 0; i < n; i++)
		env[i] = mem_strdup(environ[i]);
	environ = env;
}

void
proctitle_set(const char *title)
{
	size_t len = strlen(title);

	prctl(PR_SET_NAME, title, 0, 0, 0);
	if (proctitle_size < 2)
		return;
	if (len > proctitle_size - 1)
		len = proctitle_size - 1;
	memcpy(proctitle_area, title, len);
	memset(proctitle_area + len, 0, proctitle_size - len);
}
