/* SPDX-License-Identifier: MIT */
/*
 * How far a long command is, and signals that end it in good order.  Writes
 * to standard error only; results go to standard output.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../common/clock.h"
#include "tool_int.h"

#define TTY_MS 200
#define PLAIN_MS 10000

static volatile sig_atomic_t stopped;

static void
on_signal(int sig)
{
	stopped = sig;
}

void
tool_catch_signals(void)
{
	static const int caught[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = on_signal;
	(void)sigemptyset(&sa.sa_mask);
	/* A second one ends the command at once. */
	sa.sa_flags = (int)SA_RESETHAND;
	for (size_t i = 0; i < sizeof(caught) / sizeof(caught[0]); i++)
		(void)sigaction(caught[i], &sa, NULL);
}

bool
tool_stopped(void)
{
	return stopped != 0;
}

void
progress_begin(struct progress *p, const struct tool *t, const char *label,
    bool bytes)
{
	*p = (struct progress){
		.label = label,
		.bytes = bytes,
		.tty = isatty(STDERR_FILENO) == 1,
		.quiet = (t->opts & TOOL_QUIET) != 0,
		.began_ms = clock_mono_ms(),
	};
	p->last_ms = p->began_ms;
}

void
progress_number(char out[PROGRESS_NUMBER_SIZE], uint64_t n, bool bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double v = (double)n;
	size_t i = 0;

	if (!bytes) {
		(void)snprintf(out, PROGRESS_NUMBER_SIZE, "%llu",
		    (unsigned long long)n);
		return;
	}
	while (v >= 1024 && i < sizeof(units) / sizeof(units[0]) - 1) {
		v /= 1024;
		i++;
	}
	(void)snprintf(out, PROGRESS_NUMBER_SIZE,
	    i == 0 ? "%.0f %s" : "%.1f %s", v, units[i]);
}

void
progress_line(char *out, size_t size, const struct progress *p, uint64_t done,
    uint64_t all, uint64_t ms)
{
	char a[PROGRESS_NUMBER_SIZE], b[PROGRESS_NUMBER_SIZE];
	char c[PROGRESS_NUMBER_SIZE];
	uint64_t rate = ms > 0 ? done * 1000 / ms : 0, eta;
	unsigned percent = all > 0 && done < all ?
	    (unsigned)((double)done * 100 / (double)all) :
	    100;
	int n;

	progress_number(a, done, p->bytes);
	progress_number(b, all, p->bytes);
	progress_number(c, rate, p->bytes);
	n = snprintf(out, size, "%s: %u %%, %s of %s, %s/s", p->label, percent,
	    a, b, c);
	if (rate == 0 || done >= all || n < 0 || (size_t)n >= size)
		return;
	eta = (all - done) / rate;
	(void)snprintf(out + n, size - (size_t)n, ", %llu:%02llu left",
	    (unsigned long long)(eta / 60), (unsigned long long)(eta % 60));
}

void
progress_show(struct progress *p, uint64_t done, uint64_t all)
{
	uint64_t now = clock_mono_ms();
	char line[160];

	if (p->quiet || now < p->last_ms + (p->tty ? TTY_MS : PLAIN_MS))
		return;
	p->last_ms = now;
	p->shown = true;
	progress_line(line, sizeof(line), p, done, all, now - p->began_ms);
	(void)fprintf(stderr, p->tty ? "\r\033[K%s" : "%s\n", line);
	(void)fflush(stderr);
}

void
progress_end(struct progress *p)
{
	if (p->tty && p->shown)
		(void)fputs("\r\033[K", stderr);
	p->shown = false;
}
