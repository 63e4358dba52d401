/* SPDX-License-Identifier: MIT */
/* The page as text for Prometheus and as JSON: every counter is in both,
 * once, with its value; names keep the rules. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/page.h"
#include "worker/metrics_int.h"

#define WORKERS 3
#define LIMIT (256 * 1024)

struct fixture {
	struct page *page;
	struct metrics m;
	struct buf b;
};

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int fd;

	f->page = page_create(&fd);
	if (f->page == NULL)
		return -1;
	(void)close(fd);
	f->page->started_unix_ms = INT64_C(1700000000042);
	f->m.page = f->page;
	f->m.version = "1.2.3";
	f->m.workers = WORKERS;
	f->m.uptime_ms = 90061;
	buf_init(&f->b, LIMIT);
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	buf_free(&f->b);
	page_detach(f->page);
	free(f);
	return 0;
}

/* Another number in each place. */
static void
fill(struct fixture *f)
{
	for (int c = 0; c < PAGE_COUNTERS; c++)
		for (int slot = 0; slot < WORKERS; slot++)
			page_add(f->page, PAGE_SLOT_WORKER0 + slot,
			    (enum page_counter)c,
			    (uint64_t)(1000 * (c + 1) + slot));
	for (int slot = 0; slot < WORKERS; slot++)
		page_set(f->page, PAGE_SLOT_WORKER0 + slot, GAUGE_WORKER_SEAT,
		    (uint64_t)slot + 1);
	page_add(f->page, PAGE_SLOT_RETIRED, COUNTER_DELIVERIES, 5);
}

static const char *
text_of(struct fixture *f)
{
	page_sums(f->page, &f->m.sums);
	buf_clear(&f->b);
	metrics_text(&f->b, &f->m);
	assert_int_equal(buf_add(&f->b, "", 1), 0);
	return buf_head(&f->b);
}

static struct json_object *
json_of(struct fixture *f)
{
	struct json_object *o;

	page_sums(f->page, &f->m.sums);
	buf_clear(&f->b);
	metrics_json(&f->b, &f->m);
	assert_int_equal(buf_add(&f->b, "", 1), 0);
	o = json_tokener_parse(buf_head(&f->b));
	assert_true(json_object_is_type(o, json_type_object));
	return o;
}

/* The rest of the one line that begins so. */
static const char *
line(const char *text, const char *begin)
{
	static char found[256];
	size_t len = strlen(begin);
	const char *hit = NULL;

	for (const char *p = text; *p != '\0'; p = strchr(p, '\n') + 1) {
		if (strncmp(p, begin, len) != 0)
			continue;
		if (hit != NULL)
			fail_msg("twice: %s", begin);
		hit = p + len;
	}
	if (hit == NULL)
		fail_msg("missing: %s", begin);
	snprintf(found, sizeof(found), "%.*s", (int)strcspn(hit, "\n"), hit);
	return found;
}

static void
assert_line(const char *text, const char *begin, uint64_t v)
{
	char wanted[32];

	snprintf(wanted, sizeof(wanted), "%llu", (unsigned long long)v);
	assert_string_equal(line(text, begin), wanted);
}

static struct json_object *
member(struct json_object *o, const char *name)
{
	struct json_object *v;

	if (!json_object_object_get_ex(o, name, &v))
		fail_msg("no %s", name);
	return v;
}

static void
test_values(void **state)
{
	struct fixture *f = *state;
	const char *text;
	char begin[160];

	fill(f);
	text = text_of(f);
	for (const struct metric *t = metrics_all; t->name != NULL; t++) {
		if (t->label == NULL) {
			snprintf(begin, sizeof(begin), "%s ", t->name);
			assert_line(text, begin, page_sum(f->page, t->first));
		}
		for (unsigned i = 0; t->label != NULL && t->values[i] != NULL;
		     i++) {
			snprintf(begin, sizeof(begin), "%s{%s=\"%s\"} ",
			    t->name, t->label, t->values[i]);
			assert_line(text, begin,
			    page_sum(f->page,
				(enum page_counter)(t->first + i)));
		}
	}
	assert_string_equal(line(text, "chatapi_start_time_seconds "),
	    "1700000000.042");
	assert_string_equal(line(text, "chatapi_uptime_seconds "), "90.061");
	assert_string_equal(line(text, "chatapi_workers "), "3");
	assert_string_equal(line(text, "chatapi_build_info"),
	    "{version=\"1.2.3\"} 1");
}

static void
test_workers(void **state)
{
	struct fixture *f = *state;
	const char *text;
	char begin[160];

	fill(f);
	text = text_of(f);
	for (const struct metric_worker *t = metrics_workers; t->name != NULL;
	     t++) {
		for (unsigned slot = 0; slot < WORKERS; slot++) {
			uint64_t v = 0;

			for (unsigned i = 0; i < t->n; i++)
				v += 1000 * (t->first + i + 1) + slot;
			snprintf(begin, sizeof(begin), "%s{slot=\"%u\"} ",
			    t->name, slot);
			assert_line(text, begin, v);
		}
	}
	assert_null(strstr(text, "slot=\"3\""));
}

static void
test_histogram(void **state)
{
	struct fixture *f = *state;
	const char *text;

	page_observe(f->page, PAGE_SLOT_WRITER, HISTOGRAM_COMMIT, 64000);
	page_observe(f->page, PAGE_SLOT_WRITER, HISTOGRAM_COMMIT, 64001);
	page_observe(f->page, PAGE_SLOT_WRITER, HISTOGRAM_COMMIT,
	    UINT64_C(10000000000));
	page_retire(f->page, PAGE_SLOT_WRITER);
	page_observe(f->page, PAGE_SLOT_WRITER, HISTOGRAM_BATCH, 5);
	text = text_of(f);
#define BUCKET "chatapi_commit_duration_seconds_bucket{le="
	assert_line(text, BUCKET "\"0.000064\"} ", 1);
	assert_line(text, BUCKET "\"0.000128\"} ", 2);
	assert_line(text, BUCKET "\"1.048576\"} ", 2);
	assert_line(text, BUCKET "\"8.388608\"} ", 2);
	assert_line(text, BUCKET "\"+Inf\"} ", 3);
#undef BUCKET
	assert_line(text, "chatapi_commit_duration_seconds_count ", 3);
	assert_string_equal(line(text, "chatapi_commit_duration_seconds_sum "),
	    "10.000128001");
	assert_line(text, "chatapi_batch_operations_bucket{le=\"4\"} ", 0);
	assert_line(text, "chatapi_batch_operations_bucket{le=\"8\"} ", 1);
	assert_line(text, "chatapi_batch_operations_bucket{le=\"256\"} ", 1);
	assert_line(text, "chatapi_batch_operations_sum ", 5);
}

static bool
ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), k = strlen(end);

	return n >= k && strcmp(s + n - k, end) == 0;
}

/* HELP, TYPE, then the values of one name together; every counter of the
 * page in one of them. */
static void
test_form(void **state)
{
	struct fixture *f = *state;
	const char *text = text_of(f);
	unsigned names = 0;
	char name[128], type[32], next[128];

	for (const char *p = text; *p != '\0';) {
		assert_int_equal(sscanf(p, "# HELP %127s %*[^\n]", name), 1);
		p = strchr(p, '\n') + 1;
		assert_int_equal(sscanf(p, "# TYPE %127s %31s", next, type), 2);
		assert_string_equal(name, next);
		assert_memory_equal(name, "chatapi_", 8);
		assert_true(ends_with(name, "_total") ==
		    (strcmp(type, "counter") == 0));
		p = strchr(p, '\n') + 1;
		assert_true(*p != '#');
		for (; *p != '#' && *p != '\0'; p = strchr(p, '\n') + 1)
			assert_memory_equal(p, name, strlen(name));
		names++;
	}
	assert_true(names > 30);
}

static void
test_every_counter_is_shown(void **state)
{
	unsigned shown[PAGE_COUNTERS] = { 0 };

	(void)state;
	for (const struct metric *t = metrics_all; t->name != NULL; t++) {
		unsigned n = 0;

		while (t->label != NULL && t->values[n] != NULL)
			shown[t->first + n++]++;
		if (t->label == NULL)
			shown[t->first]++;
		else
			assert_true(n > 0 && n <= METRICS_LABELS_MAX);
	}
	/* All workers' sum of it is `chatapi_workers` when all is well. */
	shown[GAUGE_WORKER_READY]++;
	for (int c = COUNTER_MESSAGES_SENT; c <= COUNTER_RETENTION_TRIMS; c++)
		assert_int_equal(shown[c], 1);
	for (int c = PAGE_GAUGE0; c <= GAUGE_DEAD_LETTERS; c++)
		assert_int_equal(shown[c], 1);
}

static void
test_json(void **state)
{
	static const char *const contract[] = { "active_connections",
		"messages_sent", "delivery_attempts", "delivery_failures",
		"broadcast_drops" };
	struct fixture *f = *state;
	struct json_object *o, *v;
	const struct metric_worker *w = metrics_workers;

	fill(f);
	o = json_of(f);
	for (size_t i = 0; i < sizeof(contract) / sizeof(contract[0]); i++)
		assert_true(json_object_is_type(member(o, contract[i]),
		    json_type_int));
	for (const struct metric *t = metrics_all; t->name != NULL; t++) {
		v = member(o, t->json);
		for (unsigned i = 0; t->label != NULL && t->values[i] != NULL;
		     i++)
			assert_int_equal(json_object_get_int64(member(v,
					     t->values[i])),
			    page_sum(f->page,
				(enum page_counter)(t->first + i)));
		if (t->label == NULL)
			assert_int_equal(json_object_get_int64(v),
			    page_sum(f->page, t->first));
	}
	assert_string_equal(json_object_get_string(member(o, "uptime_seconds")),
	    "90.061");
	assert_string_equal(json_object_get_string(member(o, "version")),
	    "1.2.3");
	assert_string_equal(json_object_get_string(member(o, "started_at")),
	    "2023-11-14T22:13:20.042Z");
	assert_false(json_object_get_boolean(member(o, "db_writable")));
	v = member(o, "workers");
	assert_int_equal(json_object_array_length(v), WORKERS);
	v = json_object_array_get_idx(v, 2);
	assert_int_equal(json_object_get_int(member(v, "slot")), 2);
	for (; w->name != NULL; w++)
		assert_int_equal(json_object_get_int64(member(v, w->json)),
		    metric_worker_value(&f->m, w, 2));
	json_object_put(o);
}

static void
test_json_histogram(void **state)
{
	struct fixture *f = *state;
	struct json_object *o, *v, *buckets;

	page_observe(f->page, PAGE_SLOT_WRITER, HISTOGRAM_COMMIT, 100000);
	atomic_store(&f->page->db_writable, 1);
	o = json_of(f);
	v = member(o, "commit_duration_seconds");
	buckets = member(v, "buckets");
	assert_int_equal(json_object_get_int(member(v, "count")), 1);
	assert_string_equal(json_object_get_string(member(v, "sum")), "0.0001");
	assert_int_equal(json_object_get_int(member(buckets, "0.000064")), 0);
	assert_int_equal(json_object_get_int(member(buckets, "0.000128")), 1);
	assert_int_equal(json_object_get_int(member(buckets, "+Inf")), 1);
	assert_true(json_object_get_boolean(member(o, "db_writable")));
	json_object_put(o);
}

/* As many workers as there may be, and numbers as long as there are. */
static void
test_largest(void **state)
{
	struct fixture *f = *state;

	f->m.workers = 64;
	for (int slot = 0; slot < PAGE_SLOTS; slot++)
		for (int c = 0; c < PAGE_COUNTERS; c++)
			page_set(f->page, slot, (enum page_counter)c,
			    UINT64_MAX);
	(void)text_of(f);
	assert_true(f->b.len > 16 * 1024);
	json_object_put(json_of(f));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(test_values),
		TEST(test_workers),
		TEST(test_histogram),
		TEST(test_form),
		TEST(test_every_counter_is_shown),
		TEST(test_json),
		TEST(test_json_histogram),
		TEST(test_largest),
#undef TEST
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
