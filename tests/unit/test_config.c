/* SPDX-License-Identifier: MIT */
/* The configuration: who beats whom, what is refused and in which words, and
 * the record that children get. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <sched.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/config.h"
#include "common/wire.h"

#define ARGS_MAX 32

static const char *const names[] = { "LISTEN_ADDR", "DATABASE_DSN", "LOG_LEVEL",
	"WORKERS", "DEFAULT_RATE_LIMIT", "MASTER_API_KEY", "ALLOWED_ORIGINS",
	"WS_MAX_CONNECTIONS_PER_USER", "SHUTDOWN_DRAIN_TIMEOUT",
	"RETRY_MAX_ATTEMPTS", "RETRY_INTERVAL", "PRESENCE_GRACE", "RESUME_WAIT",
	"KEY_FILE", "WEBHOOK_ALLOW_PRIVATE", "CONSOLE", "CONSOLE_DIR",
	"CONFINE" };

static struct config c;
static enum config_action action;
static int first;
static char err[512];

/* What a test says goes to a file of its own; stderr, too. */
static char conf_path[3000], log_path[3000];
static int real_stderr;

static int
set_up(void **state)
{
	const char *dir = getenv("top_builddir");
	size_t i;
	int fd;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unsetenv(names[i]);
	if (dir == NULL)
		dir = "/tmp";
	snprintf(conf_path, sizeof(conf_path), "%s/test-conf-XXXXXX", dir);
	snprintf(log_path, sizeof(log_path), "%s/test-log-XXXXXX", dir);
	fd = mkstemp(conf_path);
	close(fd);
	fd = mkstemp(log_path);
	real_stderr = dup(STDERR_FILENO);
	dup2(fd, STDERR_FILENO);
	close(fd);
	memset(&c, 0, sizeof(c));
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	config_free(&c);
	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	unlink(conf_path);
	unlink(log_path);
	return 0;
}

static bool
logged(const char *what)
{
	static char text[8192];
	FILE *f = fopen(log_path, "re");
	size_t n;

	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	return strstr(text, what) != NULL;
}

static void
write_conf(const char *text, size_t len)
{
	FILE *f = fopen(conf_path, "we");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

/* Loads with these arguments, "" ends them. */
static int
load(const char *arg, ...)
{
	char *argv[ARGS_MAX] = { "chatapi" };
	int argc = 1;
	va_list ap;

	va_start(ap, arg);
	for (; *arg != '\0' && argc < ARGS_MAX - 1; arg = va_arg(ap, char *))
		argv[argc++] = (char *)arg;
	va_end(ap);
	config_free(&c);
	err[0] = '\0';
	return config_load(&c, argc, argv, &action, &first, err, sizeof(err));
}

static void
expect_error(const char *const words[], size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (strstr(err, words[i]) == NULL)
			fail_msg("no \"%s\" in: %s", words[i], err);
}

#define EXPECT_ERROR(...) \
	do { \
		static const char *const words[] = { __VA_ARGS__ }; \
		expect_error(words, sizeof(words) / sizeof(words[0])); \
	} while (0)

static unsigned
cpus(void)
{
	cpu_set_t set;

	assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
	return CPU_COUNT(&set) > 64 ? 64 : (unsigned)CPU_COUNT(&set);
}

static void
test_defaults(void **state)
{
	char cwd[4096], path[5000];

	(void)state;
	assert_int_equal(load(""), 0);
	assert_int_equal(action, CONFIG_RUN);
	assert_int_equal(first, 1);
	assert_int_equal(c.nlisten, 1);
	assert_string_equal(c.listen[0], ":8080");
	assert_string_equal(c.dsn_text,
	    "file:chatapi.db?_journal_mode=WAL&_busy_timeout=5000");
	assert_non_null(getcwd(cwd, sizeof(cwd)));
	snprintf(path, sizeof(path), "%s/chatapi.db", cwd);
	assert_string_equal(c.dsn.path, path);
	assert_int_equal(c.dsn.busy_timeout_ms, 5000);
	assert_int_equal(c.log_level, LOG_LEVEL_INFO);
	assert_int_equal(c.workers, cpus());
	assert_int_equal(c.rate_limit, 100);
	assert_null(c.master_key);
	assert_null(c.allowed_origins);
	assert_int_equal(c.ws_max_per_user, 5);
	assert_int_equal(c.drain_timeout_ms, 10000);
	assert_int_equal(c.retry_max_attempts, 5);
	assert_int_equal(c.retry_interval_ms, 30000);
	assert_int_equal(c.presence_grace_ms, 5000);
	assert_int_equal(c.resume_wait_ms, 30000);
	assert_null(c.key_file);
	assert_false(c.webhook_allow_private);
	assert_true(c.console);
	assert_true(c.confine);
	assert_string_equal(c.console_dir, CHATAPI_DATADIR "/console");
	assert_false(c.check_only);
	assert_true(logged("ALLOWED_ORIGINS is not set"));
}

static void
test_one_cpu(void **state)
{
	cpu_set_t old, one;
	unsigned cpu;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(old), &old), 0);
	for (cpu = 0; !CPU_ISSET(cpu, &old); cpu++)
		continue;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	assert_int_equal(load(""), 0);
	assert_int_equal(c.workers, 1);
	assert_int_equal(sched_setaffinity(0, sizeof(old), &old), 0);
}

static void
test_precedence(void **state)
{
	static const char conf[] = "# comment\n"
				   "\n"
				   "workers = 3\r\n"
				   "  log_level=debug  \n"
				   "\t# another\n"
				   "listen_addr = :1001, [::1]:1002\n"
				   "retry_interval =\n"
				   "user = chat-api\n"
				   "default_rate_limit = 7";

	(void)state;
	write_conf(conf, sizeof(conf) - 1);
	assert_int_equal(load("-c", conf_path, ""), 0);
	assert_string_equal(c.user, "chat-api");
	assert_int_equal(c.workers, 3);
	assert_int_equal(c.log_level, LOG_LEVEL_DEBUG);
	assert_int_equal(c.nlisten, 2);
	assert_string_equal(c.listen[0], ":1001");
	assert_string_equal(c.listen[1], "[::1]:1002");
	assert_int_equal(c.retry_interval_ms, 30000);
	assert_int_equal(c.rate_limit, 7);
	/* The environment beats the file, unless it is empty. */
	setenv("WORKERS", "4", 1);
	setenv("LOG_LEVEL", "", 1);
	setenv("LISTEN_ADDR", "example.org:2001", 1);
	assert_int_equal(load("-c", conf_path, ""), 0);
	assert_int_equal(c.workers, 4);
	assert_int_equal(c.log_level, LOG_LEVEL_DEBUG);
	assert_int_equal(c.nlisten, 1);
	assert_string_equal(c.listen[0], "example.org:2001");
	/* A flag beats both; -l takes the place of the whole list. */
	assert_int_equal(load("-w", "5", "--log-level", "error", "-l", ":3001",
			     "-l", "127.0.0.1:3002", "-c", conf_path, "--user",
			     "web", ""),
	    0);
	assert_string_equal(c.user, "web");
	assert_int_equal(c.workers, 5);
	assert_int_equal(c.log_level, LOG_LEVEL_ERROR);
	assert_int_equal(c.nlisten, 2);
	assert_string_equal(c.listen[0], ":3001");
	assert_string_equal(c.listen[1], "127.0.0.1:3002");
	assert_int_equal(c.rate_limit, 7);
	assert_int_equal(load("--workers=6", ""), 0);
	assert_int_equal(c.workers, 6);
}

static void
test_environment(void **state)
{
	(void)state;
	setenv("DATABASE_DSN", "/srv/chat.db?_busy_timeout=100", 1);
	setenv("MASTER_API_KEY", "0123456789abcdef", 1);
	setenv("ALLOWED_ORIGINS", "https://a.example, http://[::1]:3000", 1);
	setenv("WS_MAX_CONNECTIONS_PER_USER", "9", 1);
	setenv("SHUTDOWN_DRAIN_TIMEOUT", "1m30s", 1);
	setenv("RETRY_MAX_ATTEMPTS", "1", 1);
	setenv("RETRY_INTERVAL", "250ms", 1);
	setenv("PRESENCE_GRACE", "750ms", 1);
	setenv("RESUME_WAIT", "1m", 1);
	setenv("KEY_FILE", "/etc/chatapi/key", 1);
	setenv("WEBHOOK_ALLOW_PRIVATE", "1", 1);
	setenv("CONSOLE", "no", 1);
	setenv("CONSOLE_DIR", "/srv/console", 1);
	setenv("CONFINE", "no", 1);
	setenv("DEFAULT_RATE_LIMIT", "0", 1);
	setenv("SOME_OTHER_SETTING", "x", 1);
	/* Every shell sets it, and means another thing. */
	setenv("USER", "root", 1);
	assert_int_equal(load(""), 0);
	unsetenv("SOME_OTHER_SETTING");
	assert_null(c.user);
	assert_string_equal(c.dsn.path, "/srv/chat.db");
	assert_int_equal(c.dsn.busy_timeout_ms, 100);
	assert_string_equal(c.master_key, "0123456789abcdef");
	assert_string_equal(c.allowed_origins,
	    "https://a.example, http://[::1]:3000");
	assert_int_equal(c.ws_max_per_user, 9);
	assert_int_equal(c.drain_timeout_ms, 90000);
	assert_int_equal(c.retry_max_attempts, 1);
	assert_int_equal(c.retry_interval_ms, 250);
	assert_int_equal(c.presence_grace_ms, 750);
	assert_int_equal(c.resume_wait_ms, 60000);
	assert_string_equal(c.key_file, "/etc/chatapi/key");
	assert_true(c.webhook_allow_private);
	assert_false(c.console);
	assert_false(c.confine);
	assert_string_equal(c.console_dir, "/srv/console");
	assert_int_equal(c.rate_limit, 0);
	assert_false(logged("ALLOWED_ORIGINS"));
	assert_false(logged("MASTER_API_KEY"));
}

static void
test_warnings(void **state)
{
	(void)state;
	setenv("MASTER_API_KEY", "guess-me", 1);
	assert_int_equal(load("-d", "a.db?_txlock=immediate", ""), 0);
	assert_string_equal(c.master_key, "guess-me");
	assert_true(logged("MASTER_API_KEY is short"));
	assert_false(logged("guess-me"));
	assert_true(logged("_txlock"));
}

static void
test_actions(void **state)
{
	(void)state;
	assert_int_equal(load("-t", ""), 0);
	assert_int_equal(action, CONFIG_CHECK);
	assert_true(c.check_only);
	assert_int_equal(load("--check-config", "-w", "2", ""), 0);
	assert_int_equal(action, CONFIG_CHECK);
	assert_int_equal(load("--version", ""), 0);
	assert_int_equal(action, CONFIG_VERSION);
	/* They answer even when the rest is wrong. */
	setenv("WORKERS", "no", 1);
	assert_int_equal(load("--help", "-w", ""), 0);
	assert_int_equal(action, CONFIG_HELP);
	assert_int_equal(load("-t", ""), -1);
	unsetenv("WORKERS");
	/* Flags behind the command are the command's. */
	assert_int_equal(load("-w", "2", "tenant", "create", "-x", "--help",
			     ""),
	    0);
	assert_int_equal(action, CONFIG_TOOL);
	assert_int_equal(first, 3);
	assert_int_equal(c.workers, 2);
	assert_int_equal(load("--", "tenant", ""), 0);
	assert_int_equal(action, CONFIG_TOOL);
	assert_int_equal(first, 2);
	assert_int_equal(load("-t", "tenant", ""), -1);
	EXPECT_ERROR("\"tenant\"");
	assert_non_null(strstr(config_usage, "--check-config"));
}

static void
test_bad_flags(void **state)
{
	(void)state;
	assert_int_equal(load("-x", ""), -1);
	EXPECT_ERROR("-x", "--help");
	assert_int_equal(load("--nonsense", ""), -1);
	EXPECT_ERROR("--nonsense", "--help");
	assert_int_equal(load("-tx", ""), -1);
	EXPECT_ERROR("-x");
	assert_int_equal(load("-w", ""), -1);
	EXPECT_ERROR("-w", "needs a value");
	assert_int_equal(load("--workers", ""), -1);
	EXPECT_ERROR("--workers", "needs a value");
	assert_int_equal(load("--check-config=yes", ""), -1);
	EXPECT_ERROR("--check-config");
	assert_int_equal(load("-w", "0", ""), -1);
	EXPECT_ERROR("flag -w", "WORKERS", "\"0\"", "1 to 64");
	assert_int_equal(load("--workers", "65", ""), -1);
	EXPECT_ERROR("flag --workers", "WORKERS", "\"65\"", "1 to 64");
	assert_int_equal(load("--log-level", "loud", ""), -1);
	EXPECT_ERROR("flag --log-level", "LOG_LEVEL", "loud", "debug");
	assert_int_equal(load("-d", "a?_sync=OFF", ""), -1);
	EXPECT_ERROR("flag -d", "DATABASE_DSN", "_sync=OFF is refused");
	assert_int_equal(load("-l", ":1", "-l", "x", ""), -1);
	EXPECT_ERROR("flag -l", "LISTEN_ADDR", "host:port");
}

static void
test_bad_values(void **state)
{
	static const struct {
		const char *name;
		const char *values[14];
	} cases[] = {
		{ "LISTEN_ADDR",
		    { "8080", ":0", ":65536", ":", "::1:80", "[::1]", "[x]:1",
			"a b:1", ":80,", ",:80", "http://a:80", ":-1",
			":1x" } },
		{ "DATABASE_DSN", { ":memory:", "file:", "a?mode=ro" } },
		{ "LOG_LEVEL", { "3", "trace", "info " } },
		{ "WORKERS",
		    { "0", "65", "-1", "two", "2.0", " 2", "0x2",
			"99999999999999999999" } },
		{ "DEFAULT_RATE_LIMIT", { "-1", "1000001", "100/s" } },
		{ "ALLOWED_ORIGINS",
		    { "example.org", "https://", "https://a/", "https://a/b",
			"https://*.a", "://a", "*,", "https://a b",
			"https://a?x" } },
		{ "WS_MAX_CONNECTIONS_PER_USER", { "0", "10001", "x" } },
		{ "SHUTDOWN_DRAIN_TIMEOUT", { "10", "-1s", "2h", "soon" } },
		{ "RETRY_MAX_ATTEMPTS", { "0", "101" } },
		{ "RETRY_INTERVAL", { "0", "0s", "30", "25h" } },
		{ "PRESENCE_GRACE", { "5", "-1s", "61m", "soon" } },
		{ "RESUME_WAIT", { "0s", "61s", "-1s", "soon" } },
		{ "CONFINE", { "1", "true", "Yes" } },
		{ "WEBHOOK_ALLOW_PRIVATE", { "2", "yes", "-1" } },
		{ "CONSOLE", { "1", "off", "Yes" } },
	};
	const char *name, *value;
	char source[100], shown[100];
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		name = cases[i].name;
		for (k = 0; (value = cases[i].values[k]) != NULL; k++) {
			setenv(name, value, 1);
			if (load("") != -1)
				fail_msg("accepted: %s=%s", name, value);
			snprintf(source, sizeof(source), "environment %s: %s",
			    name, name);
			snprintf(shown, sizeof(shown), "\"%s\" is not allowed",
			    value);
			if (strstr(err, source) == NULL ||
			    strstr(err, shown) == NULL)
				fail_msg("%s=%s: %s", name, value, err);
		}
		unsetenv(name);
	}
	assert_int_equal(load("--user", "1000", ""), -1);
	EXPECT_ERROR("flag --user: USER \"1000\" is not allowed", "name");
	assert_int_equal(load("--user", "a b", ""), -1);
	assert_int_equal(load("--user", "", ""), -1);
	setenv("MASTER_API_KEY", "s3cret key", 1);
	assert_int_equal(load(""), -1);
	EXPECT_ERROR("environment MASTER_API_KEY", "ASCII");
	assert_null(strstr(err, "s3cret"));
}

static void
test_listen_forms(void **state)
{
	(void)state;
	assert_int_equal(load("-l", "localhost:1,127.0.0.1:2", "-l",
			     "[fe80::1%eth0]:3", "-l", "0.0.0.0:65535", ""),
	    0);
	assert_int_equal(c.nlisten, 4);
	assert_string_equal(c.listen[2], "[fe80::1%eth0]:3");
	assert_int_equal(load("-l", ":1,:2,:3,:4,:5,:6,:7,:8", ""), 0);
	assert_int_equal(c.nlisten, CONFIG_LISTEN_MAX);
	assert_int_equal(load("-l", ":1,:2,:3,:4,:5,:6,:7,:8,:9", ""), -1);
	EXPECT_ERROR("at most 8");
}

static void
test_bad_files(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		const char *where, *what;
	} cases[] = {
#define TEXT(s) (s), sizeof(s) - 1
		{ TEXT("workers = 2\nworkerz = 3\n"), ":2:", "workerz" },
		{ TEXT("WORKERS = 2\n"), ":1:", "unknown key" },
		{ TEXT("worker = 2\n"), ":1:", "unknown key" },
		{ TEXT("= 2\n"), ":1:", "unknown key" },
		{ TEXT("\n\nworkers\n"), ":3:", "key = value" },
		{ TEXT("workers = 2\n\nworkers = 2"), ":3:", "second time" },
		{ TEXT("#\nworkers = 0\n"), ":2:", "1 to 64" },
		{ TEXT("workers = 2 # two\n"), ":1:", "1 to 64" },
		{ TEXT("workers = 2\0\n"), "", "NUL" },
#undef TEXT
	};
	static char big[70000];
	char where[3100];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		write_conf(cases[i].text, cases[i].len);
		assert_int_equal(load("-c", conf_path, ""), -1);
		snprintf(where, sizeof(where), "%s%s", conf_path,
		    cases[i].where);
		if (strstr(err, where) == NULL ||
		    strstr(err, cases[i].what) == NULL)
			fail_msg("%s: %s", cases[i].text, err);
	}
	memset(big, '#', sizeof(big));
	write_conf(big, 65536);
	assert_int_equal(load("-c", conf_path, ""), 0);
	write_conf(big, 65537);
	assert_int_equal(load("-c", conf_path, ""), -1);
	EXPECT_ERROR("64 KiB");
	assert_int_equal(load("-c", "/nonexistent/chatapi.conf", ""), -1);
	EXPECT_ERROR("/nonexistent/chatapi.conf", "No such file");
	assert_int_equal(load("-c", "/dev/zero", ""), -1);
	EXPECT_ERROR("/dev/zero", "regular file");
	assert_int_equal(load("-c", "/", ""), -1);
	/* A secret in a bad line of a file is not shown either. */
	write_conf("master_api_key = s3cret key\n", 28);
	assert_int_equal(load("-c", conf_path, ""), -1);
	EXPECT_ERROR(":1", "MASTER_API_KEY");
	assert_null(strstr(err, "s3cret"));
}

/* As the record's header and the fields of a config. */
static void
put_record(struct buf *b)
{
	size_t start;

	buf_clear(b);
	start = wire_begin(b, 1);
	config_put(b, &c);
	assert_int_equal(wire_end(b, start), 0);
}

static void
test_record(void **state)
{
	struct wire_record rec;
	struct wire_reader r;
	struct config got;
	struct buf b, again;
	size_t cut;

	(void)state;
	setenv("MASTER_API_KEY", "0123456789abcdef", 1);
	assert_int_equal(load("-l", ":1,[::1]:2", "-w", "7", "-t", "-d",
			     "/srv/a.db?_busy_timeout=9", ""),
	    0);
	buf_init(&b, 65536);
	buf_init(&again, 65536);
	put_record(&b);
	assert_int_equal(wire_next((uint8_t *)buf_head(&b), b.len, &rec),
	    b.len);
	wire_reader_init(&r, &rec);
	assert_int_equal(config_get(&r, &got), 0);
	assert_true(wire_reader_done(&r));
	assert_int_equal(got.nlisten, 2);
	assert_string_equal(got.listen[1], "[::1]:2");
	assert_string_equal(got.dsn.path, "/srv/a.db");
	assert_int_equal(got.workers, 7);
	assert_string_equal(got.master_key, "0123456789abcdef");
	assert_null(got.allowed_origins);
	assert_true(got.check_only);
	/* Nothing was left out: writing it again gives the same bytes. */
	config_free(&c);
	c = got;
	put_record(&again);
	assert_int_equal(again.len, b.len);
	assert_memory_equal(buf_head(&again), buf_head(&b), b.len);
	/* Cut anywhere, it is bad. */
	for (cut = 0; cut < rec.len; cut++) {
		struct wire_record part = rec;

		part.len = cut;
		wire_reader_init(&r, &part);
		assert_int_equal(config_get(&r, &got), -1);
	}
	buf_free(&b);
	buf_free(&again);
}

static void
expect_bad_record(void)
{
	struct wire_record rec;
	struct wire_reader r;
	struct config got;
	struct buf b;

	buf_init(&b, 65536);
	put_record(&b);
	assert_int_equal(wire_next((uint8_t *)buf_head(&b), b.len, &rec),
	    b.len);
	wire_reader_init(&r, &rec);
	assert_int_equal(config_get(&r, &got), -1);
	buf_free(&b);
}

static void
test_record_ranges(void **state)
{
	(void)state;
	assert_int_equal(load("-w", "1", ""), 0);
	c.workers = 0;
	expect_bad_record();
	c.workers = CONFIG_WORKERS_MAX + 1;
	expect_bad_record();
	c.workers = 1;
	c.log_level = LOG_LEVEL_DEBUG + 1;
	expect_bad_record();
	c.log_level = LOG_LEVEL_DEBUG;
	c.dsn.path[0] = '\0';
	expect_bad_record();
}

/* A change of one byte gives another config or a refusal, never a crash, and
 * never a value that is out of range. */
static void
test_bad_record(void **state)
{
	struct wire_record rec;
	struct wire_reader r;
	struct config got;
	struct buf b;
	uint8_t *p;
	size_t i, refused = 0;
	int bit;

	(void)state;
	assert_int_equal(load("-l", ":1,:2", "-w", "7", ""), 0);
	buf_init(&b, 65536);
	put_record(&b);
	assert_int_equal(wire_next((uint8_t *)buf_head(&b), b.len, &rec),
	    b.len);
	p = (uint8_t *)buf_head(&b) + WIRE_HEADER;
	for (i = 0; i < rec.len; i++)
		for (bit = 0; bit < 8; bit++) {
			p[i] ^= 1 << bit;
			wire_reader_init(&r, &rec);
			if (config_get(&r, &got) == -1)
				refused++;
			else {
				assert_in_range(got.nlisten, 0, 8);
				assert_in_range(got.workers, 1, 64);
				assert_in_range(got.log_level, 0, 3);
				config_free(&got);
			}
			p[i] ^= 1 << bit;
		}
	assert_in_range(refused, 100, rec.len * 8);
	buf_free(&b);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_defaults),
		TEST(test_one_cpu),
		TEST(test_precedence),
		TEST(test_environment),
		TEST(test_warnings),
		TEST(test_actions),
		TEST(test_bad_flags),
		TEST(test_bad_values),
		TEST(test_listen_forms),
		TEST(test_bad_files),
		TEST(test_record),
		TEST(test_record_ranges),
		TEST(test_bad_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
