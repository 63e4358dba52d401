/* SPDX-License-Identifier: MIT */
/*
 * The table of settings against all that speaks of them: the sample file,
 * both manual pages, --help, and what a reload does with each.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/config.h"
#include "common/config_values.h"

#define NAME_SIZE 64

static char *
read_source(const char *name)
{
	const char *top = getenv("top_srcdir");
	char path[4096];
	size_t size = 256 * 1024, n;
	char *text = malloc(size);
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", top != NULL ? top : ".", name);
	f = fopen(path, "re");
	if (f == NULL)
		fail_msg("cannot read %s", path);
	n = fread(text, 1, size - 1, f);
	assert_true(n < size - 1);
	text[n] = '\0';
	fclose(f);
	return text;
}

static void
lower_name(char out[NAME_SIZE], const char *name)
{
	size_t i;

	for (i = 0; name[i] != '\0'; i++)
		out[i] = (char)tolower((unsigned char)name[i]);
	out[i] = '\0';
}

/* Is `word` a setting, in lower case when `lower`?  Marks it as seen. */
static bool
known(const char *word, size_t len, bool lower, unsigned seen[])
{
	for (unsigned i = 0; i < CONFIG_SETTINGS; i++) {
		char name[NAME_SIZE];

		snprintf(name, sizeof(name), "%s", config_settings[i].name);
		if (lower)
			lower_name(name, config_settings[i].name);
		if (strlen(name) != len || strncmp(name, word, len) != 0)
			continue;
		seen[i]++;
		return true;
	}
	return false;
}

/* Lines that begin with `lead` name each setting once and nothing else. */
static void
check_names(const char *file, const char *section, const char *lead, bool lower)
{
	unsigned seen[CONFIG_SETTINGS] = { 0 };
	char *text = read_source(file), *at = text, *line;

	if (section != NULL) {
		at = strstr(text, section);
		assert_non_null(at);
		at += strlen(section);
		char *end = strstr(at, "\n.Sh ");

		if (end != NULL)
			*end = '\0';
	}
	while ((line = strsep(&at, "\n")) != NULL) {
		size_t len;

		if (strncmp(line, lead, strlen(lead)) != 0)
			continue;
		line += strlen(lead);
		len = strspn(line,
		    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_");
		if (!known(line, len, lower, seen))
			fail_msg("%s: %.*s is no setting", file, (int)len,
			    line);
	}
	for (unsigned i = 0; i < CONFIG_SETTINGS; i++)
		if (seen[i] != (lower || !config_settings[i].not_environment))
			fail_msg("%s names %s %u times", file,
			    config_settings[i].name, seen[i]);
	free(text);
}

static void
test_manual_describes_each(void **state)
{
	(void)state;
	check_names("man/chatapi.conf.5", ".Sh DESCRIPTION\n", ".It Cm ", true);
}

static void
test_manual_lists_each(void **state)
{
	(void)state;
	check_names("man/chatapi.8", ".Sh ENVIRONMENT\n", ".It Ev ", false);
}

static void
test_help_lists_each(void **state)
{
	(void)state;
	for (unsigned i = 0; i < CONFIG_SETTINGS; i++)
		if (!config_settings[i].not_environment &&
		    strstr(config_usage, config_settings[i].name) == NULL)
			fail_msg("--help lacks %s", config_settings[i].name);
}

/* "#key = default": what is commented out is what holds without it. */
static void
test_sample_has_each_with_its_default(void **state)
{
	char *text = read_source("contrib/chatapi.conf"), *rest = text, *line;
	unsigned seen[CONFIG_SETTINGS] = { 0 };

	(void)state;
	while ((line = strsep(&rest, "\n")) != NULL) {
		char *equals = strstr(line, " =");
		const char *value;
		unsigned before[CONFIG_SETTINGS];

		if (line[0] == '\0' || line[1] == ' ' || line[1] == '\0') {
			assert_true(line[0] == '\0' || line[0] == '#');
			continue;
		}
		assert_int_equal(line[0], '#');
		assert_non_null(equals);
		memcpy(before, seen, sizeof(seen));
		if (!known(line + 1, (size_t)(equals - line - 1), true, seen))
			fail_msg("the sample's \"%s\" is no setting", line);
		value = equals + 2;
		value += *value == ' ';
		for (unsigned i = 0; i < CONFIG_SETTINGS; i++) {
			const char *want = config_settings[i].fallback;

			/* It depends on where things are installed. */
			if (i == SETTING_CONSOLE_DIR)
				want = NULL;

			if (seen[i] != before[i])
				assert_string_equal(value,
				    want != NULL ? want : "");
		}
	}
	for (unsigned i = 0; i < CONFIG_SETTINGS; i++)
		if (seen[i] != 1)
			fail_msg("the sample has %s %u times",
			    config_settings[i].name, seen[i]);
	free(text);
}

/* The sample with every # taken away is a file that a server starts with. */
static void
test_sample_is_sound(void **state)
{
	char path[] = "test_settings.XXXXXX", err[512] = "";
	char *text = read_source("contrib/chatapi.conf"), *rest = text, *line;
	char *argv[] = { "chatapi", "-t", "-c", path, NULL };
	int fd = mkstemp(path), first;
	enum config_action action;
	struct config c;
	FILE *f;

	(void)state;
	assert_int_not_equal(fd, -1);
	f = fdopen(fd, "w");
	while ((line = strsep(&rest, "\n")) != NULL) {
		if (line[0] == '#' && line[1] != ' ')
			line++;
		fprintf(f, "%s\n", line);
	}
	assert_int_equal(fclose(f), 0);
	if (config_load(&c, 4, argv, &action, &first, err, sizeof(err)) == -1)
		fail_msg("%s", err);
	config_free(&c);
	unlink(path);
	free(text);
}

/* ---- reload ---- */

/* With one setting, or NULL, as its only one. */
static void
load(struct config *c, const struct config_setting *s, const char *value)
{
	char *argv[] = { "chatapi", "--user", (char *)(uintptr_t)value, NULL };
	bool flag = s != NULL && s->not_environment;
	enum config_action action;
	char err[512] = "";
	int first;

	/* These three come together. */
	setenv("TLS_CERT", "/a.pem", 1);
	setenv("TLS_KEY", "/a.key", 1);
	setenv("TLS_LISTEN_ADDR", ":8443", 1);
	if (s != NULL && !flag)
		setenv(s->name, value, 1);
	if (config_load(c, flag ? 3 : 1, argv, &action, &first, err,
		sizeof(err)) == -1)
		fail_msg("%s", err);
	if (s != NULL && !flag)
		unsetenv(s->name);
}

/* A value of each that is not its default. */
static const char *const others[CONFIG_SETTINGS] = {
	[SETTING_LISTEN_ADDR] = "127.0.0.1:8081",
	[SETTING_DATABASE_DSN] = "file:other.db",
	[SETTING_LOG_LEVEL] = "warn",
	[SETTING_WORKERS] = "61",
	[SETTING_DEFAULT_RATE_LIMIT] = "7",
	[SETTING_MASTER_API_KEY] = "a-key-that-is-long-enough",
	[SETTING_ALLOWED_ORIGINS] = "https://a.example",
	[SETTING_WS_MAX_CONNECTIONS_PER_USER] = "7",
	[SETTING_SHUTDOWN_DRAIN_TIMEOUT] = "7s",
	[SETTING_RETRY_MAX_ATTEMPTS] = "7",
	[SETTING_RETRY_INTERVAL] = "7s",
	[SETTING_PRESENCE_GRACE] = "7s",
	[SETTING_RESUME_WAIT] = "7s",
	[SETTING_KEY_FILE] = "/tmp/key",
	[SETTING_WEBHOOK_ALLOW_PRIVATE] = "1",
	[SETTING_CONSOLE] = "no",
	[SETTING_CONSOLE_DIR] = "/nowhere",
	[SETTING_TLS_CERT] = "/b.pem",
	[SETTING_TLS_KEY] = "/b.key",
	[SETTING_TLS_LISTEN_ADDR] = ":8444",
	[SETTING_TRUSTED_PROXIES] = "10.0.0.0/8",
	[SETTING_USER] = "web",
	[SETTING_CONFINE] = "no",
};

/* Each setting's change is seen, alone, and is taken or not as it says. */
static void
test_each_change_is_seen(void **state)
{
	(void)state;
	for (unsigned i = 0; i < CONFIG_SETTINGS; i++) {
		const struct config_setting *s = &config_settings[i];
		const char *found = NULL;
		enum config_change change;
		struct config old, new;
		unsigned id = 0;

		if (config_change(i) == CONFIG_SAME || others[i] == NULL)
			fail_msg("what does a reload do with %s?", s->name);
		load(&old, NULL, NULL);
		assert_int_equal(config_diff(&old, &old, &id, &found),
		    CONFIG_SAME);
		load(&new, s, others[i]);
		id = 0;
		change = config_diff(&old, &new, &id, &found);
		assert_int_equal(change, config_change(i));
		assert_string_equal(found, s->name);
		assert_int_equal(config_diff(&old, &new, &id, &found),
		    CONFIG_SAME);
		config_free(&new);

		load(&new, s, others[i]);
		config_take(&old, &new);
		config_free(&new);
		load(&new, s, others[i]);
		id = 0;
		assert_int_equal(config_diff(&old, &new, &id, &found),
		    change == CONFIG_RESTART ? change : CONFIG_SAME);
		config_free(&old);
		config_free(&new);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_manual_describes_each),
		cmocka_unit_test(test_manual_lists_each),
		cmocka_unit_test(test_help_lists_each),
		cmocka_unit_test(test_sample_has_each_with_its_default),
		cmocka_unit_test(test_sample_is_sound),
		cmocka_unit_test(test_each_change_is_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
