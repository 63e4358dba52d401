/* SPDX-License-Identifier: MIT */
/*
 * The configuration file: one `key = value` a line, `#` before a comment.
 * Read once by the process that starts; it must not accept what it does not
 * know, because a misspelt limit would silently not hold.
 */
#include "config_values.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "mem.h"

/* A file beyond this is some other file. */
#define FILE_MAX (64 * 1024)
#define SOURCE_MAX 4352

static char *
trim(char *s)
{
	char *end;

	s += strspn(s, " \t\r");
	end = s + strlen(s);
	while (end > s && strchr(" \t\r", end[-1]) != NULL)
		end--;
	*end = '\0';
	return s;
}

/* The setting whose name in lower case this is; CONFIG_SETTINGS for none. */
static size_t
find_setting(const char *key)
{
	const char *name;
	size_t i, n;

	for (i = 0; i < CONFIG_SETTINGS; i++) {
		name = config_settings[i].name;
		for (n = 0; name[n] != '\0'; n++)
			if (key[n] != tolower((unsigned char)name[n]))
				break;
		if (name[n] == '\0' && key[n] == '\0')
			break;
	}
	return i;
}

static int
read_line(char *line, const char *source, bool seen[CONFIG_SETTINGS],
    struct config_origin origins[CONFIG_SETTINGS], char *err, size_t errsize)
{
	char *key = trim(line), *value;
	size_t i;

	if (*key == '\0' || *key == '#')
		return 0;
	value = strchr(key, '=');
	if (value == NULL) {
		snprintf(err, errsize,
		    "%s: a line must be key = value, or a"
		    " comment after #",
		    source);
		return -1;
	}
	*value++ = '\0';
	key = trim(key);
	value = trim(value);
	i = find_setting(key);
	if (i == CONFIG_SETTINGS) {
		snprintf(err, errsize,
		    "%s: unknown key \"%.64s\"; keys are the"
		    " environment's names in lower case, such as listen_addr",
		    source, key);
		return -1;
	}
	if (seen[i]) {
		snprintf(err, errsize, "%s: %s is set a second time", source,
		    key);
		return -1;
	}
	seen[i] = true;
	if (*value != '\0' || i == SETTING_LISTEN_ADDR)
		config_origin_set(&origins[i], value, source);
	return 0;
}

/* The whole file as new text with a NUL; NULL and a sentence in err. */
static char *
read_file(const char *path, char *err, size_t errsize)
{
	char *text = NULL;
	const char *why = NULL;
	struct stat st;
	size_t n = 0;
	FILE *f;

	/* Not a directory, and not a pipe or device that never ends. */
	if (stat(path, &st) == -1 || (f = fopen(path, "re")) == NULL) {
		snprintf(err, errsize,
		    "cannot read the configuration file"
		    " %s: %s",
		    path, strerror(errno));
		return NULL;
	}
	if (!S_ISREG(st.st_mode)) {
		why = "it is not a regular file";
		goto out;
	}
	text = mem_alloc(FILE_MAX + 1);
	n = fread(text, 1, FILE_MAX + 1, f);
	if (ferror(f))
		why = strerror(errno);
	else if (n > FILE_MAX)
		why = "it is longer than 64 KiB";
	else if (memchr(text, '\0', n) != NULL)
		why = "it holds a NUL byte";
	else
		text[n] = '\0';
out:
	fclose(f);
	if (why == NULL)
		return text;
	snprintf(err, errsize, "cannot read the configuration file %s: %s",
	    path, why);
	free(text);
	return NULL;
}

int
config_file_read(const char *path,
    struct config_origin origins[CONFIG_SETTINGS], char *err, size_t errsize)
{
	bool seen[CONFIG_SETTINGS] = { false };
	char *text, *line, *rest, source[SOURCE_MAX];
	unsigned number = 0;
	int res = 0;

	text = rest = read_file(path, err, errsize);
	if (text == NULL)
		return -1;
	while (res == 0 && (line = strsep(&rest, "\n")) != NULL) {
		snprintf(source, sizeof(source), "%s:%u", path, ++number);
		res = read_line(line, source, seen, origins, err, errsize);
	}
	explicit_bzero(text, strlen(text));
	free(text);
	return res;
}
