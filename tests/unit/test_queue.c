/* SPDX-License-Identifier: MIT */
/* The line before the writer: order within a tenant, turns between them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "common/buf.h"
#include "common/wire.h"
#include "writer/queue.h"

static struct queue_op *
add(struct queue *q, uint64_t tenant, uint64_t number)
{
	struct queue_op *op;
	struct wire_record rec;
	struct buf b;
	size_t at;

	buf_init(&b, 1024);
	at = wire_begin(&b, 200);
	wire_put_u64(&b, number);
	assert_int_equal(wire_end(&b, at), 0);
	assert_true(wire_next((uint8_t *)buf_head(&b), b.len, &rec) > 0);
	op = queue_add(q, tenant, &rec);
	op->client = tenant;
	buf_free(&b);
	return op;
}

/* Takes one and checks whose it is and that it was copied whole. */
static void
take(struct queue *q, uint64_t tenant, uint64_t number)
{
	struct queue_op *op = queue_take(q);
	struct wire_reader r;

	assert_non_null(op);
	assert_int_equal(op->client, tenant);
	assert_int_equal(op->rec.type, 200);
	wire_reader_init(&r, &op->rec);
	assert_int_equal(wire_get_u64(&r), number);
	assert_true(wire_reader_done(&r));
	queue_op_free(op);
}

static void
test_order(void **state)
{
	struct queue *q = queue_new();

	(void)state;
	assert_null(queue_take(q));
	for (uint64_t i = 0; i < 1000; i++)
		add(q, 1, i);
	assert_int_equal(queue_count(q), 1000);
	assert_int_equal(queue_bytes(q), 1000 * (WIRE_HEADER + 8));
	for (uint64_t i = 0; i < 1000; i++)
		take(q, 1, i);
	assert_int_equal(queue_count(q), 0);
	assert_int_equal(queue_bytes(q), 0);
	assert_null(queue_take(q));
	queue_free(q);
}

static void
test_turns(void **state)
{
	struct queue *q = queue_new();

	(void)state;
	for (uint64_t i = 0; i < 100; i++)
		add(q, 1, i);
	add(q, 257, 0);
	add(q, 2, 0);
	add(q, 257, 1);
	/* The one in front has a hundred, the others wait for one each. */
	take(q, 1, 0);
	take(q, 257, 0);
	take(q, 2, 0);
	take(q, 1, 1);
	take(q, 257, 1);
	take(q, 1, 2);
	add(q, 2, 1);
	take(q, 1, 3);
	take(q, 2, 1);
	for (uint64_t i = 4; i < 100; i++)
		take(q, 1, i);
	assert_null(queue_take(q));
	queue_free(q);
}

static void
test_free_full(void **state)
{
	struct queue *q = queue_new();

	(void)state;
	for (uint64_t i = 0; i < 1000; i++)
		add(q, i % 300, i);
	assert_int_equal(queue_count(q), 1000);
	queue_free(q);
	queue_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_turns),
		cmocka_unit_test(test_free_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
