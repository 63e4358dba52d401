/* SPDX-License-Identifier: MIT */
/* kill -9 of the measured server's processes. */
#include "victim.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "proc.h"

static const char *const names[] = {
	[VICTIM_WORKER] = "worker",
	[VICTIM_WRITER] = "writer",
	[VICTIM_MASTER] = "master",
	[VICTIM_GROUP] = "group",
};

int
victim_parse(const char *name, enum victim *v)
{
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (name != NULL && strcmp(name, names[i]) == 0) {
			*v = (enum victim)i;
			return 0;
		}
	}
	fprintf(stderr, "--kill: worker, writer, master or group\n");
	return -1;
}

int
victim_kill(pid_t master, enum victim v, unsigned slot)
{
	char name[PROC_NAME_SIZE] = "chatapi: writer";
	struct proc_set s;
	pid_t pid = master;

	if (proc_sample(master, &s) == -1)
		goto gone;
	if (v == VICTIM_WORKER)
		snprintf(name, sizeof(name), "chatapi: worker %u", slot);
	if (v == VICTIM_WORKER || v == VICTIM_WRITER)
		pid = proc_named(&s, name);
	/* A group that is not its own would be somebody else's, too. */
	if (v == VICTIM_GROUP)
		pid = getpgid(master) == master ? -master : 0;
	if (pid != 0 && kill(pid, SIGKILL) == 0)
		return 0;
gone:
	fprintf(stderr, "nothing to kill: %s of %d\n", names[v], (int)master);
	return -1;
}

pid_t
victim_master(const struct bench *b)
{
	int pid = 0;
	FILE *f;

	if (b->pid_file == NULL || (f = fopen(b->pid_file, "r")) == NULL)
		return (pid_t)b->server;
	if (fscanf(f, "%d", &pid) != 1)
		pid = (int)b->server;
	fclose(f);
	return pid;
}

unsigned
victim_workers(pid_t master)
{
	struct proc_set s;
	unsigned n = 0;

	if (proc_sample(master, &s) == -1)
		return 0;
	for (unsigned i = 0; i < s.n; i++)
		n += strncmp(s.p[i].name, "chatapi: worker", 15) == 0;
	return n;
}
