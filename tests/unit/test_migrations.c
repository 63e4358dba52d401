/* SPDX-License-Identifier: MIT */
/* What the generator embeds is the text of the files in sql/, in order. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "writer/migrations.h"

static void
test_numbers(void **state)
{
	char prefix[16];
	unsigned i;

	(void)state;
	assert_true(migrations_count > 0);
	for (i = 0; i < migrations_count; i++) {
		assert_int_equal(migrations[i].version, i + 1);
		snprintf(prefix, sizeof(prefix), "%04u_", i + 1);
		assert_memory_equal(migrations[i].name, prefix, 5);
	}
}

static void
test_texts(void **state)
{
	const char *top = getenv("top_srcdir");
	char path[4096], *text;
	unsigned i;
	size_t n;
	FILE *f;

	(void)state;
	for (i = 0; i < migrations_count; i++) {
		snprintf(path, sizeof(path), "%s/sql/%s.sql",
		    top == NULL ? "." : top, migrations[i].name);
		f = fopen(path, "r");
		assert_non_null(f);
		n = strlen(migrations[i].sql);
		text = malloc(n + 2);
		assert_non_null(text);
		assert_int_equal(fread(text, 1, n + 2, f), n);
		assert_memory_equal(text, migrations[i].sql, n);
		free(text);
		fclose(f);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
