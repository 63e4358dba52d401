/* SPDX-License-Identifier: MIT */
/*
 * Values of settings, database names and durations among them, and the
 * record that carries them to the children.
 *
 * Input: one byte that names the setting, then its value; a first byte
 * behind the last setting makes the rest a record's payload.
 */
#include "fuzz.h"

#include <stdbool.h>
#include <string.h>

#include "common/buf.h"
#include "common/config.h"
#include "common/config_values.h"
#include "common/duration.h"
#include "common/wire.h"

/* A record's payload in memory of its own; false when it is none. */
static bool
read_record(const void *payload, size_t len, struct config *c)
{
	struct wire_record rec = { .payload = payload, .len = len };
	struct wire_reader r;

	wire_reader_init(&r, &rec);
	return config_get(&r, c) == 0;
}

/* What was accepted must be in range, and come through a record as it is. */
static void
check_config(const struct config *c)
{
	struct buf b, again;
	struct config copy;

	FUZZ_CHECK(c->nlisten >= 0 && c->nlisten <= CONFIG_LISTEN_MAX);
	FUZZ_CHECK(c->workers >= 1 && c->workers <= CONFIG_WORKERS_MAX);
	FUZZ_CHECK(c->log_level <= LOG_LEVEL_DEBUG);
	FUZZ_CHECK(memchr(c->dsn.path, '\0', sizeof(c->dsn.path)) != NULL);
	FUZZ_CHECK(c->dsn.path[0] != '\0');
	buf_init(&b, 1 << 20);
	buf_init(&again, 1 << 20);
	config_put(&b, c);
	FUZZ_CHECK(!b.failed);
	FUZZ_CHECK(read_record(buf_head(&b), b.len, &copy));
	config_put(&again, &copy);
	FUZZ_CHECK(again.len == b.len);
	FUZZ_CHECK(memcmp(buf_head(&again), buf_head(&b), b.len) == 0);
	config_free(&copy);
	buf_free(&b);
	buf_free(&again);
}

static void
check_duration(const char *text)
{
	char shown[64];
	uint64_t ms, back;

	if (duration_parse(text, &ms) == -1)
		return;
	duration_format(shown, sizeof(shown), ms);
	/* Rounding the longest up may carry it out of the range. */
	if (ms < INT64_MAX / 1000000) {
		FUZZ_CHECK(duration_parse(shown, &back) == 0);
		FUZZ_CHECK(back == ms);
	}
}

static void
check_value(size_t setting, const char *text)
{
	struct config c = { .workers = 1, .dsn.path = "/x" };
	struct config_value v = { .config = &c, .text = text };
	const struct config_setting *s = &config_settings[setting];

	if (s->parse(&v) == 0) {
		FUZZ_CHECK(c.dsn.busy_timeout_ms <= 60000);
		FUZZ_CHECK(c.dsn.path[0] == '/');
		if (c.dsn_text == NULL)
			c.dsn_text = strdup("x");
		check_config(&c);
	} else if (setting == SETTING_DATABASE_DSN)
		FUZZ_CHECK(v.why[0] != '\0');
	config_free(&c);
	check_duration(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config c;
	char *text;

	if (size == 0)
		return 0;
	log_set_level(LOG_LEVEL_ERROR);
	if (data[0] >= CONFIG_SETTINGS) {
		if (read_record(data + 1, size - 1, &c)) {
			check_config(&c);
			config_free(&c);
		}
		return 0;
	}
	text = strndup((const char *)data + 1, size - 1);
	FUZZ_CHECK(text != NULL);
	check_value(data[0], text);
	free(text);
	return 0;
}
