/* SPDX-License-Identifier: MIT */
/*
 * chatapi-bench MODE [--option value]...: the load generator.  One thread,
 * loopback only, bounded in time; prints one JSON object on stdout.
 * tests/bench/run starts a server, makes the rooms and calls this.
 */
#include "bench.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net.h"
#include "plan.h"
#include "ws_text.h"

static const struct {
	const char *name;
	int (*run)(const struct bench *);
	bool server;
} modes[] = {
	{ "ws-send", mode_ws_send, true },
	{ "fanout", mode_fanout, true },
	{ "rest-send", mode_rest_send, true },
	{ "rest-read", mode_rest_read, true },
	{ "idle", mode_idle, true },
	{ "sync", mode_sync, true },
	{ "storm", mode_storm, true },
	{ "slow", mode_slow, true },
	{ "big", mode_big, true },
	{ "recover", mode_recover, true },
	{ "raw-append", mode_raw_append, false },
	{ "raw-fanout", mode_raw_fanout, false },
	{ "raw-sync", mode_raw_sync, false },
};

#define NUMBER(name, field, min, max, help) \
	{ \
		name, offsetof(struct bench, field), min, max, help \
	}
#define TEXT(name, field, help) NUMBER(name, field, 0, 0, help)

/* max 0 = a text */
static const struct {
	const char *name;
	size_t offset;
	unsigned min, max;
	const char *help;
} options[] = {
	NUMBER("port", port, 1, 65535, "the server's, on 127.0.0.1"),
	NUMBER("server-pid", server, 1, 1u << 30,
	    "its master process, for CPU and memory"),
	TEXT("key", key, "API key of the tenant"),
	TEXT("plan", plan_file, "file: a room a line, id and members"),
	NUMBER("seconds-ms", seconds_ms, 10, 600000, "measured window"),
	NUMBER("warmup-ms", warmup_ms, 0, 60000, "before it"),
	NUMBER("count", count, 0, 1u << 30, "stop after so many; 0 = never"),
	NUMBER("connections", connections, 1, 19000, "clients"),
	NUMBER("inflight", inflight, 1, 1024, "ws-send: each client's"),
	NUMBER("size", size, WS_TEXT_STAMP, 16384, "bytes of content"),
	NUMBER("client-ids", client_ids, 0, 1, "send a client_msg_id"),
	NUMBER("members", members, 1, 19000, "fanout: connections"),
	NUMBER("outstanding", outstanding, 1, 500,
	    "fanout: messages not everywhere yet"),
	NUMBER("pause-us", pause_us, 0, 10000000,
	    "fanout: between complete messages; storm, slow,"
	    " recover: between a chatting sender's"),
	NUMBER("pending", pending, 1, 4096, "handshakes at once"),
	NUMBER("limit", limit, 1, 100, "rest-read: messages a page"),
	NUMBER("history", history, 0, 1u << 30,
	    "rest-read: messages in the room"),
	NUMBER("hold-ms", hold_ms, 0, 600000, "idle: counting wake-ups"),
	NUMBER("repeats", repeats, 1, 1000,
	    "sync: connects; big: acks of each connection"),
	NUMBER("rcvbuf", rcvbuf, 0, 1u << 24, "slow: SO_RCVBUF; 0 = default"),
	NUMBER("spread-ms", spread_ms, 0, 60000,
	    "slow: over which readers come back"),
	TEXT("kill", kill, "storm, recover: worker, writer, master, group"),
	TEXT("pid-file", pid_file,
	    "storm, recover: where a restart leaves the"
	    " master's process id"),
	NUMBER("slot", slot, 0, 63, "storm: which worker"),
	NUMBER("kills", kills, 1, 1000, "recover: how many"),
	NUMBER("pause-ms", pause_ms, 0, 60000, "recover: between them"),
	NUMBER("workers", workers, 1, 64, "recover: of the server"),
	NUMBER("frame", frame, 1, 65536, "raw-fanout, raw-sync: bytes"),
	NUMBER("per-write", per_write, 1, 64, "raw-fanout: frames a write"),
	NUMBER("batch", batch, 1, 4096, "raw-append: messages a commit"),
	NUMBER("rooms", rooms, 1, 100000, "raw-append"),
	NUMBER("member-check", member_check, 0, 1,
	    "raw-append: with a SELECT of the member"),
	TEXT("dir", dir, "raw-append: where the database is made"),
	TEXT("database", database, "raw-sync: the server's"),
	TEXT("schema", schema, "raw-append: all migrations in one file"),
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void
usage(void)
{
	fprintf(stderr,
	    "usage: chatapi-bench mode [--option value]...\n"
	    "modes:");
	for (size_t i = 0; i < COUNT(modes); i++)
		fprintf(stderr, " %s", modes[i].name);
	fprintf(stderr, "\n");
	for (size_t i = 0; i < COUNT(options); i++)
		fprintf(stderr, "  --%-12s %s\n", options[i].name,
		    options[i].help);
}

static int
option_set(struct bench *b, const char *name, const char *value)
{
	char *field, *end;
	unsigned long v;

	for (size_t i = 0; i < COUNT(options); i++) {
		if (strcmp(name, options[i].name) != 0)
			continue;
		field = (char *)b + options[i].offset;
		if (options[i].max == 0) {
			memcpy(field, &value, sizeof(value));
			return 0;
		}
		errno = 0;
		v = strtoul(value, &end, 10);
		if (errno != 0 || *end != '\0' || end == value ||
		    v < options[i].min || v > options[i].max) {
			fprintf(stderr, "--%s: %u to %u\n", name,
			    options[i].min, options[i].max);
			return -1;
		}
		memcpy(field, &(unsigned){ (unsigned)v }, sizeof(unsigned));
		return 0;
	}
	fprintf(stderr, "--%s: no such option\n", name);
	return -1;
}

static int
bench_check(struct bench *b, bool server)
{
	if (!server)
		return 0;
	if (b->port == 0 || b->key == NULL || b->plan_file == NULL) {
		fprintf(stderr, "--port, --key and --plan are needed\n");
		return -1;
	}
	if ((b->plan = plan_load(b->plan_file)) == NULL)
		return -1;
	return 0;
}

int
main(int argc, char **argv)
{
	struct bench b = { .seconds_ms = 8000,
		.warmup_ms = 1500,
		.connections = 64,
		.inflight = 8,
		.size = 100,
		.outstanding = 1,
		.members = 1000,
		.pending = 128,
		.limit = 50,
		.hold_ms = 10000,
		.repeats = 5,
		.spread_ms = 2000,
		.kills = 20,
		.pause_ms = 800,
		.workers = 2,
		.frame = 300,
		.per_write = 1,
		.batch = 64,
		.rooms = 32,
		.dir = ".",
		.schema = "sql/0001_init.sql" };
	int rc;

	if (argc < 2 || argc % 2 != 0) {
		usage();
		return 2;
	}
	for (int i = 2; i < argc; i += 2) {
		if (strncmp(argv[i], "--", 2) != 0 ||
		    option_set(&b, argv[i] + 2, argv[i + 1]) == -1) {
			usage();
			return 2;
		}
	}
	signal(SIGPIPE, SIG_IGN);
	net_raise_files();
	/* Whatever happens, it ends. */
	alarm((b.seconds_ms + b.warmup_ms + 2 * b.hold_ms) / 1000 + 420);
	for (size_t i = 0; i < COUNT(modes); i++) {
		if (strcmp(argv[1], modes[i].name) != 0)
			continue;
		if (bench_check(&b, modes[i].server) == -1)
			return 2;
		rc = modes[i].run(&b);
		plan_free(b.plan);
		return rc;
	}
	usage();
	return 2;
}
