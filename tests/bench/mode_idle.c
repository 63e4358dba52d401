/* SPDX-License-Identifier: MIT */
/*
 * idle: what connections cost that do nothing.  Counts memory and wake-ups
 * of the server's processes without any connection, connects many, and
 * counts again.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "plan.h"
#include "proc.h"
#include "stats.h"
#include "ws_pool.h"

struct idle {
	struct proc_set s;
	double wakeups; /* a second, over hold_ms */
	double cpu;     /* share of one core, likewise */
};

static void
on_text(struct ws_client *c, const char *text, size_t len)
{
	(void)c;
	(void)text;
	(void)len;
}

/* Lets the loop turn (pings are answered) for so long. */
static void
idle_wait(struct ws_pool *p, unsigned ms)
{
	uint64_t end = stats_now() + ms * UINT64_C(1000000), now;

	while ((now = stats_now()) < end)
		ws_pool_turn(p, (int)((end - now) / 1000000) + 1);
}

static int
idle_measure(struct idle *m, struct ws_pool *p)
{
	pid_t master = (pid_t)p->bench->server;
	struct proc_set before;
	double t = p->bench->hold_ms / 1e3;

	/* What the last work left behind has come to rest. */
	idle_wait(p, 2000);
	if (proc_sample(master, &before) == -1)
		return -1;
	idle_wait(p, p->bench->hold_ms);
	if (proc_sample(master, &m->s) == -1 || proc_memory(&m->s) == -1)
		return -1;
	m->wakeups = t == 0 ?
	    0 :
	    (double)(proc_switches(&m->s) - proc_switches(&before)) / t;
	m->cpu = t == 0 ? 0 : (proc_cpu(&m->s) - proc_cpu(&before)) / t;
	return 0;
}

static void
idle_result(const struct idle *none, const struct idle *all, double connect_s,
    double connect_cpu, struct ws_pool *p)
{
	double pss0 = (double)proc_pss_kb(&none->s);
	double pss1 = (double)proc_pss_kb(&all->s);

	result_begin("idle");
	result_num("connections", p->n);
	result_num("pss_none_kb", pss0);
	result_num("pss_all_kb", pss1);
	result_num("bytes_per_connection", (pss1 - pss0) * 1024 / p->n);
	result_num("connects_per_s", p->n / connect_s);
	result_num("server_us_per_connect", connect_cpu * 1e6 / p->n);
	result_hist("connect", &p->setup);
	result_num("wakeups_none_per_s", none->wakeups);
	result_num("wakeups_all_per_s", all->wakeups);
	result_num("cpu_none_percent", none->cpu * 100);
	result_num("cpu_all_percent", all->cpu * 100);
	result_num("pongs", (double)p->pongs);
	result_list_begin("processes");
	for (unsigned i = 0; i < all->s.n; i++) {
		result_item_begin();
		result_str("name", all->s.p[i].name);
		if (i < none->s.n)
			result_num("pss_none_kb", (double)none->s.p[i].pss_kb);
		result_num("pss_all_kb", (double)all->s.p[i].pss_kb);
		result_item_end();
	}
	result_list_end();
	result_num("server_died", !proc_same(&none->s, &all->s));
	result_num("closed", p->closed);
	result_end();
}

int
mode_idle(const struct bench *b)
{
	static struct idle none, all;
	struct proc_set before, after;
	const struct plan *plan = b->plan;
	unsigned n = b->connections;
	struct ws_pool p;
	uint64_t start;
	double took;
	int rc = 1;

	if (n > plan->nusers)
		n = plan->nusers;
	ws_pool_init(&p, b, n, on_text, NULL);
	for (unsigned i = 0; i < n; i++)
		p.client[i].user = plan->user[i];
	if (idle_measure(&none, &p) == -1 ||
	    proc_sample((pid_t)b->server, &before) == -1)
		goto out;
	start = stats_now();
	if (ws_pool_open(&p, 120000) == -1)
		goto out;
	took = (double)(stats_now() - start) / 1e9;
	if (proc_sample((pid_t)b->server, &after) == -1 ||
	    idle_measure(&all, &p) == -1)
		goto out;
	idle_result(&none, &all, took, proc_cpu(&after) - proc_cpu(&before),
	    &p);
	rc = p.closed > 0 || !proc_same(&none.s, &all.s);
out:
	ws_pool_free(&p);
	return rc;
}
