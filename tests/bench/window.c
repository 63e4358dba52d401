/* SPDX-License-Identifier: MIT */
/*
 * The measured window of the load generator: when it is open, and what the
 * server's processes and the generator itself used in it.
 */
#include "window.h"

#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "stats.h"

void
window_begin(struct window *w, const struct bench *b)
{
	memset(w, 0, sizeof(*w));
	w->state = WINDOW_WARM;
	w->master = b->server;
	w->warm_end = stats_now() + b->warmup_ms * UINT64_C(1000000);
	w->length = b->seconds_ms * UINT64_C(1000000);
}

static void
window_sample(const struct window *w, struct proc_set *s)
{
	if (proc_sample((pid_t)w->master, s) == -1)
		fprintf(stderr, "server process %u is gone\n", w->master);
}

void
window_tick_slow(struct window *w, uint64_t now)
{
	if (w->state == WINDOW_WARM) {
		window_sample(w, &w->before);
		w->own_before = stats_own_cpu();
		w->start = stats_now();
		w->state = WINDOW_OPEN;
	} else if (w->state == WINDOW_OPEN && now >= w->start + w->length) {
		window_close(w);
	}
}

void
window_close(struct window *w)
{
	if (w->state == WINDOW_WARM)
		window_tick_slow(w, stats_now());
	if (w->state == WINDOW_DONE)
		return;
	w->end = stats_now();
	w->own_after = stats_own_cpu();
	window_sample(w, &w->after);
	w->state = WINDOW_DONE;
}

double
window_seconds(const struct window *w)
{
	return (double)(w->end - w->start) / 1e9;
}

static void
window_processes(const struct window *w, double units)
{
	double used;

	result_list_begin("processes");
	for (unsigned i = 0; i < w->after.n; i++) {
		used = w->after.p[i].cpu - w->before.p[i].cpu;
		result_item_begin();
		result_str("name", w->after.p[i].name);
		result_num("cpu_s", used);
		result_num("us_per_unit", used * 1e6 / units);
		result_item_end();
	}
	result_list_end();
}

void
window_result(const struct window *w, const char *unit, uint64_t units)
{
	char name[64];
	double n = (double)units, cpu;

	result_num("seconds", window_seconds(w));
	if (w->after.n > 0) {
		cpu = proc_cpu(&w->after) - proc_cpu(&w->before);
		snprintf(name, sizeof(name), "server_us_per_%s", unit);
		result_num(name, cpu * 1e6 / n);
		result_num("server_cpu_s", cpu);
		result_num("server_died", !proc_same(&w->before, &w->after));
		if (proc_same(&w->before, &w->after))
			window_processes(w, n);
	}
	snprintf(name, sizeof(name), "own_us_per_%s", unit);
	result_num(name, (w->own_after - w->own_before) * 1e6 / n);
	result_num("own_cpu_s", w->own_after - w->own_before);
}
