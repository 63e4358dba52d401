/* SPDX-License-Identifier: MIT */
/*
 * Reads the plan file that tests/bench/run writes after it made the rooms.
 * Part of the load generator.
 */
#include "plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLAN_BYTES_MAX (16 * 1024 * 1024)

static char *
plan_read(const char *path)
{
	char *text;
	size_t n;
	FILE *f;

	if ((f = fopen(path, "r")) == NULL) {
		perror(path);
		return NULL;
	}
	if ((text = malloc(PLAN_BYTES_MAX)) == NULL)
		abort();
	n = fread(text, 1, PLAN_BYTES_MAX - 1, f);
	text[n] = '\0';
	fclose(f);
	return text;
}

static void *
plan_grow(void *p, unsigned n, size_t size)
{
	/* At every power of two. */
	if (n == 0 || (n & (n - 1)) != 0)
		return n == 0 ? calloc(1, size) : p;
	p = realloc(p, 2 * (size_t)n * size);
	if (p == NULL)
		abort();
	return p;
}

static int
plan_line(struct plan *p, char *line)
{
	char *save = NULL, *word = strtok_r(line, " ", &save);
	struct plan_room *r;

	if (word == NULL)
		return 0;
	if (strlen(word) > PLAN_ROOM_MAX)
		return -1;
	p->room = plan_grow(p->room, p->nrooms, sizeof(*p->room));
	r = &p->room[p->nrooms++];
	memset(r, 0, sizeof(*r));
	strcpy(r->id, word);
	r->first = p->nusers;
	while ((word = strtok_r(NULL, " ", &save)) != NULL) {
		p->user = plan_grow(p->user, p->nusers, sizeof(*p->user));
		p->user[p->nusers++] = word;
		r->nusers++;
	}
	return r->nusers > 0 ? 0 : -1;
}

struct plan *
plan_load(const char *path)
{
	struct plan *p = calloc(1, sizeof(*p));
	char *save = NULL, *line;

	if (p == NULL || (p->text = plan_read(path)) == NULL) {
		free(p);
		return NULL;
	}
	for (line = strtok_r(p->text, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		if (plan_line(p, line) == -1) {
			fprintf(stderr, "%s: bad line %u\n", path,
			    p->nrooms + 1);
			plan_free(p);
			return NULL;
		}
	}
	if (p->nrooms == 0) {
		fprintf(stderr, "%s: no rooms\n", path);
		plan_free(p);
		return NULL;
	}
	return p;
}

void
plan_free(struct plan *p)
{
	if (p == NULL)
		return;
	free(p->room);
	free(p->user);
	free(p->text);
	free(p);
}
