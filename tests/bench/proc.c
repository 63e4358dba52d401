/* SPDX-License-Identifier: MIT */
/*
 * Reads what the server's processes cost from /proc.  Part of the load
 * generator; only ever reads, never signals anything.
 */
#include "proc.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int
proc_read(pid_t pid, const char *file, char *out, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return -1;
	n = read(fd, out, size - 1);
	close(fd);
	if (n < 0)
		return -1;
	out[n] = '\0';
	return (int)n;
}

/* Parent and CPU time; the name in parentheses may hold anything. */
static int
proc_stat(pid_t pid, pid_t *parent, double *cpu)
{
	char buf[1024], *p;
	unsigned long utime, stime;
	int ppid;

	if (proc_read(pid, "stat", buf, sizeof(buf)) <= 0 ||
	    (p = strrchr(buf, ')')) == NULL)
		return -1;
	if (sscanf(p + 1, " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
		&ppid, &utime, &stime) != 3)
		return -1;
	*parent = ppid;
	/* To the nanosecond where the kernel says so; else in ticks, too
	 * coarse for what takes a fraction of a second.  One thread each. */
	if (proc_read(pid, "schedstat", buf, sizeof(buf)) > 0)
		*cpu = (double)strtoull(buf, NULL, 10) / 1e9;
	else
		*cpu = (double)(utime + stime) / (double)sysconf(_SC_CLK_TCK);
	return 0;
}

static uint64_t
proc_one_switches(pid_t pid)
{
	char path[64], file[64], buf[4096], *p;
	struct dirent *e;
	uint64_t sum = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	if ((d = opendir(path)) == NULL)
		return 0;
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(file, sizeof(file), "task/%.20s/status", e->d_name);
		if (proc_read(pid, file, buf, sizeof(buf)) <= 0)
			continue;
		p = strstr(buf, "\nvoluntary_ctxt_switches:");
		if (p != NULL)
			sum += strtoull(strchr(p, ':') + 1, NULL, 10);
	}
	closedir(d);
	return sum;
}

static void
proc_add(struct proc_set *s, pid_t pid, double cpu)
{
	struct proc_one *o;
	int n;

	if (s->n == PROC_MAX)
		return;
	o = &s->p[s->n++];
	memset(o, 0, sizeof(*o));
	o->pid = pid;
	o->cpu = cpu;
	o->switches = proc_one_switches(pid);
	n = proc_read(pid, "cmdline", o->name, sizeof(o->name));
	for (int i = 0; i + 1 < n; i++)
		if (o->name[i] == '\0')
			o->name[i] = ' ';
	for (n = (int)strlen(o->name); n > 0 && o->name[n - 1] == ' '; n--)
		o->name[n - 1] = '\0';
}

int
proc_sample(pid_t master, struct proc_set *s)
{
	struct dirent *e;
	pid_t pid, parent;
	double cpu;
	DIR *d;

	s->n = 0;
	if (master == 0)
		return 0;
	if (proc_stat(master, &parent, &cpu) == -1)
		return -1;
	proc_add(s, master, cpu);
	if ((d = opendir("/proc")) == NULL)
		return -1;
	while ((e = readdir(d)) != NULL) {
		pid = (pid_t)strtol(e->d_name, NULL, 10);
		if (pid <= 0 || proc_stat(pid, &parent, &cpu) == -1 ||
		    parent != master)
			continue;
		proc_add(s, pid, cpu);
	}
	closedir(d);
	return 0;
}

int
proc_memory(struct proc_set *s)
{
	char buf[4096], *p;

	for (unsigned i = 0; i < s->n; i++) {
		if (proc_read(s->p[i].pid, "smaps_rollup", buf, sizeof(buf)) <=
			0 ||
		    (p = strstr(buf, "\nPss:")) == NULL)
			return -1;
		s->p[i].pss_kb = strtoull(p + 5, NULL, 10);
	}
	return 0;
}

static const struct proc_one *
proc_of_pid(const struct proc_set *s, pid_t pid)
{
	for (unsigned i = 0; i < s->n; i++)
		if (s->p[i].pid == pid)
			return &s->p[i];
	return NULL;
}

double
proc_cpu(const struct proc_set *s)
{
	double sum = 0;

	for (unsigned i = 0; i < s->n; i++)
		sum += s->p[i].cpu;
	return sum;
}

double
proc_cpu_since(const struct proc_set *before, const struct proc_set *after)
{
	double sum = 0;

	for (unsigned i = 0; i < after->n; i++) {
		const struct proc_one *o = proc_of_pid(before, after->p[i].pid);

		sum += after->p[i].cpu - (o != NULL ? o->cpu : 0);
	}
	return sum;
}

pid_t
proc_named(const struct proc_set *s, const char *name)
{
	for (unsigned i = 0; i < s->n; i++)
		if (strcmp(s->p[i].name, name) == 0)
			return s->p[i].pid;
	return 0;
}

uint64_t
proc_read_bytes(const struct proc_set *s, const char *role)
{
	char buf[1024];
	uint64_t sum = 0;

	for (unsigned i = 0; i < s->n; i++) {
		if (strstr(s->p[i].name, role) == NULL ||
		    proc_read(s->p[i].pid, "io", buf, sizeof(buf)) <= 0 ||
		    strncmp(buf, "rchar: ", 7) != 0)
			continue;
		sum += strtoull(buf + 7, NULL, 10);
	}
	return sum;
}

uint64_t
proc_worker_growth_kb(const struct proc_set *before,
    const struct proc_set *after)
{
	uint64_t most = 0;

	for (unsigned i = 0; i < after->n; i++) {
		const struct proc_one *o = proc_of_pid(before, after->p[i].pid);

		if (o == NULL || strstr(o->name, "worker") == NULL ||
		    after->p[i].pss_kb <= o->pss_kb + most)
			continue;
		most = after->p[i].pss_kb - o->pss_kb;
	}
	return most;
}

uint64_t
proc_switches(const struct proc_set *s)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < s->n; i++)
		sum += s->p[i].switches;
	return sum;
}

uint64_t
proc_pss_kb(const struct proc_set *s)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < s->n; i++)
		sum += s->p[i].pss_kb;
	return sum;
}

bool
proc_same(const struct proc_set *a, const struct proc_set *b)
{
	if (a->n != b->n)
		return false;
	for (unsigned i = 0; i < a->n; i++)
		if (a->p[i].pid != b->p[i].pid)
			return false;
	return true;
}
