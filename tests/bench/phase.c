/* SPDX-License-Identifier: MIT */
/* Stretches of a benchmark between two samples of the server's processes. */
#include "phase.h"

#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "stats.h"

int
phase_begin(struct phase *p, const struct bench *b)
{
	memset(p, 0, sizeof(*p));
	p->master = (pid_t)b->server;
	if (proc_sample(p->master, &p->before) == -1) {
		fprintf(stderr, "server process %d is gone\n", (int)p->master);
		return -1;
	}
	p->own_before = stats_own_cpu();
	p->start = stats_now();
	return 0;
}

int
phase_end(struct phase *p, pid_t master)
{
	p->end = stats_now();
	p->own_after = stats_own_cpu();
	if (master != 0)
		p->master = master;
	if (proc_sample(p->master, &p->after) == 0)
		return 0;
	fprintf(stderr, "server process %d is gone\n", (int)p->master);
	return -1;
}

double
phase_seconds(const struct phase *p)
{
	return (double)(p->end - p->start) / 1e9;
}

double
phase_server_us(const struct phase *p, uint64_t n)
{
	return proc_cpu_since(&p->before, &p->after) * 1e6 / (double)n;
}

double
phase_role_us(const struct phase *p, const char *role, uint64_t n)
{
	struct proc_set some = { 0 };

	for (unsigned i = 0; i < p->after.n; i++)
		if (strstr(p->after.p[i].name, role) != NULL)
			some.p[some.n++] = p->after.p[i];
	return proc_cpu_since(&p->before, &some) * 1e6 / (double)n;
}

void
phase_result(const struct phase *p, const char *prefix, const char *unit,
    uint64_t n)
{
	static const char *const roles[] = { "master", "writer", "worker" };
	char name[96];

	snprintf(name, sizeof(name), "%s_s", prefix);
	result_num(name, phase_seconds(p));
	snprintf(name, sizeof(name), "%s_server_us_per_%s", prefix, unit);
	result_num(name, phase_server_us(p, n));
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		snprintf(name, sizeof(name), "%s_%s_us_per_%s", prefix,
		    roles[i], unit);
		result_num(name, phase_role_us(p, roles[i], n));
	}
	snprintf(name, sizeof(name), "%s_own_us_per_%s", prefix, unit);
	result_num(name, (p->own_after - p->own_before) * 1e6 / (double)n);
}
