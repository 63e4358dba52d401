/* SPDX-License-Identifier: MIT */
/* The hub's table: who wants which key, against a plain model. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "master/hub.h"

#define BIT(n) (UINT64_C(1) << (n))
#define KEYS 3000
#define SLOTS HUB_WORKERS_MAX

/* All 72 bits: those above 64 in the second. */
struct wants {
	uint64_t low;
	uint64_t high;
};

static uint64_t *
word_of(struct wants *w, unsigned slot)
{
	return slot < 64 ? &w->low : &w->high;
}

static struct wants
workers(const struct hub *h, uint64_t key)
{
	struct hub_slots s = { 0 };
	struct wants w = { 0 };
	unsigned slot;

	hub_workers(h, key, &s);
	while ((slot = hub_slots_take(&s)) != HUB_WORKERS_MAX) {
		assert_true(slot < HUB_WORKERS_MAX);
		*word_of(&w, slot) |= BIT(slot % 64);
	}
	return w;
}

static bool
only(const struct hub *h, uint64_t key, uint64_t low, uint64_t high)
{
	struct wants w = workers(h, key);

	return w.low == low && w.high == high;
}

static void
test_wants(void **state)
{
	struct hub *h = hub_new();

	(void)state;
	assert_true(only(h, 7, 0, 0));
	hub_add(h, 7, 0, HUB_INTEREST);
	hub_add(h, 7, 63, HUB_INTEREST);
	assert_true(only(h, 7, BIT(0) | BIT(63), 0));
	assert_true(only(h, 8, 0, 0));
	hub_del(h, 7, 0, HUB_INTEREST);
	assert_true(only(h, 7, BIT(63), 0));
	hub_del(h, 7, 63, HUB_INTEREST);
	assert_true(only(h, 7, 0, 0));
	assert_int_equal(hub_keys(h), 0);
	hub_free(h);
}

/* Slots beyond the seats are those of successors. */
static void
test_all_slots(void **state)
{
	struct hub *h = hub_new();
	struct hub_slots all = { 0 };

	(void)state;
	for (unsigned slot = 0; slot < SLOTS; slot++)
		hub_add(h, 7, slot, slot % 2 ? HUB_USER : HUB_INTEREST);
	assert_true(only(h, 7, UINT64_MAX, 0xff));
	hub_drop(h, 64);
	hub_del(h, 7, 71, HUB_USER);
	assert_true(only(h, 7, UINT64_MAX, 0x7e));
	for (unsigned slot = 0; slot < 70; slot++)
		hub_drop(h, slot);
	assert_true(only(h, 7, 0, 0x40));
	hub_drop(h, 70);
	assert_int_equal(hub_keys(h), 0);
	hub_everybody(&all);
	for (unsigned slot = 0; slot < SLOTS; slot++)
		assert_int_equal(hub_slots_take(&all), slot);
	assert_int_equal(hub_slots_take(&all), HUB_WORKERS_MAX);
	hub_free(h);
}

static void
test_interest_is_a_set(void **state)
{
	struct hub *h = hub_new();

	(void)state;
	hub_add(h, 7, 1, HUB_INTEREST);
	hub_add(h, 7, 1, HUB_INTEREST);
	hub_del(h, 7, 1, HUB_INTEREST);
	assert_true(only(h, 7, 0, 0));
	hub_del(h, 7, 1, HUB_INTEREST);
	hub_del(h, 9, 1, HUB_INTEREST);
	assert_int_equal(hub_keys(h), 0);
	hub_free(h);
}

static void
test_a_user_and_interest_are_two_wants(void **state)
{
	struct hub *h = hub_new();

	(void)state;
	hub_add(h, 7, 1, HUB_INTEREST);
	hub_add(h, 7, 1, HUB_USER);
	hub_del(h, 7, 1, HUB_INTEREST);
	assert_true(only(h, 7, BIT(1), 0));
	hub_add(h, 7, 1, HUB_INTEREST);
	hub_del(h, 7, 1, HUB_USER);
	assert_true(only(h, 7, BIT(1), 0));
	hub_del(h, 7, 1, HUB_INTEREST);
	assert_int_equal(hub_keys(h), 0);
	hub_free(h);
}

static void
test_drop_takes_one_worker_away(void **state)
{
	struct hub *h = hub_new();

	(void)state;
	for (uint64_t k = 1; k <= 5000; k++) {
		hub_add(h, k, 2, HUB_INTEREST);
		if (k % 5 == 0)
			hub_add(h, k, 3, HUB_USER);
		if (k % 7 == 0)
			hub_add(h, k, 2, HUB_USER);
	}
	assert_int_equal(hub_keys(h), 5000);
	hub_drop(h, 2);
	assert_int_equal(hub_keys(h), 1000);
	for (uint64_t k = 1; k <= 5000; k++)
		assert_true(only(h, k, k % 5 ? 0 : BIT(3), 0));
	hub_drop(h, 3);
	hub_drop(h, 3);
	assert_int_equal(hub_keys(h), 0);
	hub_free(h);
}

/* Keys that crowd one end of the table as well as scattered ones. */
static uint64_t
key_of(unsigned i)
{
	return i % 2 ? i + 1 : (uint64_t)(i + 1) << 40;
}

static bool
agrees(const struct hub *h, unsigned i, const struct wants model[HUB_WANTS])
{
	return only(h, key_of(i), model[0].low | model[1].low,
	    model[0].high | model[1].high);
}

static void
test_against_a_model(void **state)
{
	static struct wants model[KEYS][HUB_WANTS];
	struct hub *h = hub_new();
	unsigned seed = 1;

	(void)state;
	memset(model, 0, sizeof(model));
	for (int step = 0; step < 300000; step++) {
		/* The table swells and shrinks in turns. */
		int bias = step / 30000 % 2 ? 20 : 80;
		unsigned i = (unsigned)rand_r(&seed) % KEYS;
		unsigned slot = (unsigned)rand_r(&seed) % SLOTS;
		enum hub_want want = rand_r(&seed) % HUB_WANTS;

		if (rand_r(&seed) % 100 < bias) {
			hub_add(h, key_of(i), slot, want);
			*word_of(&model[i][want], slot) |= BIT(slot % 64);
		} else if (rand_r(&seed) % 5000 == 0) {
			hub_drop(h, slot);
			for (unsigned k = 0; k < KEYS; k++)
				for (int w = 0; w < HUB_WANTS; w++)
					*word_of(&model[k][w],
					    slot) &= ~BIT(slot % 64);
		} else {
			for (slot = 0; slot < SLOTS; slot++)
				hub_del(h, key_of(i), slot, want);
			model[i][want] = (struct wants){ 0 };
		}
		assert_true(agrees(h, i, model[i]));
		if (step % 10000 == 0)
			for (unsigned k = 0; k < KEYS; k++)
				assert_true(agrees(h, k, model[k]));
	}
	hub_free(h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wants),
		cmocka_unit_test(test_all_slots),
		cmocka_unit_test(test_interest_is_a_set),
		cmocka_unit_test(test_a_user_and_interest_are_two_wants),
		cmocka_unit_test(test_drop_takes_one_worker_away),
		cmocka_unit_test(test_against_a_model),
	};

	return cmocka_run_group_tests_name("hub", tests, NULL, NULL);
}
