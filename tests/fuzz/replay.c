/* SPDX-License-Identifier: MIT */
/*
 * Stands in for libFuzzer's main where that isn't linked: gives each file of
 * the arguments, and of the directories among them, to the target once.  A
 * finding is a crash or a sanitizer's report, as it is under libFuzzer.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz.h"

static unsigned long replayed;

static void
die(const char *path)
{
	fprintf(stderr, "%s: %s\n", path, strerror(errno));
	exit(1);
}

/* The memory is exactly as long as the input, so that a byte too many is
 * seen. */
static void
replay_file(const char *path, size_t size)
{
	uint8_t *data = malloc(size == 0 ? 1 : size);
	FILE *f = fopen(path, "re");

	if (data == NULL || f == NULL || fread(data, 1, size, f) != size)
		die(path);
	fclose(f);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	replayed++;
}

static void
replay_path(const char *path)
{
	char inner[4096];
	struct dirent *e;
	struct stat st;
	DIR *d;

	if (stat(path, &st) == -1)
		die(path);
	if (!S_ISDIR(st.st_mode)) {
		replay_file(path, (size_t)st.st_size);
		return;
	}
	d = opendir(path);
	if (d == NULL)
		die(path);
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(inner, sizeof(inner), "%s/%s", path, e->d_name);
		replay_path(inner);
	}
	closedir(d);
}

int
main(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++)
		if (argv[i][0] != '-') /* libFuzzer's options */
			replay_path(argv[i]);
	printf("%s: %lu inputs\n", argv[0], replayed);
	return replayed == 0;
}
