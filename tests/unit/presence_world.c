/* SPDX-License-Identifier: MIT */
/* See presence_world.h. */
#include "presence_world.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/loop.h"
#include "worker/bus.h"
#include "worker/feed.h"
#include "worker/feeder.h"
#include "worker/reader.h"
#include "worker/rooms.h"
#include "worker/users.h"
#include "worker/ws_list.h"
#include "worker/ws_presence_int.h"

struct world world;

/* ---- what the worker's other parts would do ---- */

uint64_t
bus_interest_add(struct bus *b, uint64_t key)
{
	(void)b;
	(void)key;
	return ++world.serial;
}

void
bus_interest_del(struct bus *b, uint64_t key)
{
	(void)b;
	(void)key;
}

void
feed_room_confirmed(struct feed *feed)
{
	(void)feed;
}

void
feed_sync_complete(struct ws_conn *c)
{
	if (ws_presence_synced(c))
		((struct client *)(void *)c)->synced++;
}

bool
ws_conn_hungry(const struct ws_conn *c)
{
	return c->state == WS_OPEN && c->out.bytes < WS_OUT_LOW;
}

/* The event that removes him from the other's room is still on its way. */
static bool
still_there(const struct client *k, int user)
{
	const struct feed_queue *q[] = { &k->c.feeds, &k->c.behind };
	const struct feed *feed;

	for (int i = 0; i < 2; i++)
		TAILQ_FOREACH(feed, q[i], in_conn)
			for (int r = 0; r < ROOMS; r++)
				if (feed->room->id == world.ids[r] &&
				    world.member[r][user])
					return true;
	return false;
}

static void
client_told(struct client *k, const char *text, size_t len)
{
	static const char head[] = "{\"type\":\"presence.update\","
				   "\"user_id\":\"u";
	char copy[200];
	int user, status;

	assert_true(len < sizeof(copy));
	memcpy(copy, text, len);
	copy[len] = '\0';
	assert_memory_equal(copy, head, sizeof(head) - 1);
	user = atoi(copy + sizeof(head) - 1);
	status = strstr(copy, "\"status\":\"online\"}") != NULL ? 1 : -1;
	if (status == -1)
		assert_non_null(strstr(copy, "\"status\":\"offline\"}"));
	assert_true(user >= 0 && user < USERS);
	/* Never of himself, never twice the same, offline only after. */
	assert_int_not_equal(user, k->user);
	assert_int_not_equal(k->told[user], status);
	if (k->told[user] == 0)
		assert_int_equal(status, 1);
	assert_true(world.shared[k->user][user] || still_there(k, user));
	k->told[user] = status;
	k->frames++;
}

void
ws_conn_send_shared(struct ws_conn *c, struct ws_shared *s)
{
	ws_out_add(&c->out, s);
}

void
ws_list_dirty(struct ws_conn *c)
{
	(void)c;
}

static void
client_frames(struct client *k, const struct ws_shared *s)
{
	size_t at = 0;

	while (at < s->len) {
		size_t h = ws_frame_header_len(s->data + at);
		size_t len = s->data[at + 1];

		if (len == 126)
			len = (size_t)s->data[at + 2] << 8 | s->data[at + 3];
		client_told(k, (const char *)s->data + at + h, len);
		at += h + len;
	}
	assert_int_equal(at, s->len);
}

/* Reads what is queued, and leaves how much it was. */
static void
client_read(struct client *k)
{
	struct ws_out *o = &k->c.out;
	uint32_t bytes = o->bytes;

	for (uint32_t i = 0; i < o->count; i++)
		client_frames(k, o->ring[(o->head + i) & (o->cap - 1)]);
	ws_out_free(o);
	o->bytes = bytes;
}

void
world_turn(bool wait)
{
	event_base_loop(world.w.base,
	    EVLOOP_ONCE | (wait ? 0 : EVLOOP_NONBLOCK));
	for (int i = 0; i < CONNS; i++)
		if (world.clients[i].open)
			client_read(&world.clients[i]);
}

/* ---- the world ---- */

static const char *
name(int user)
{
	static char text[8];

	(void)snprintf(text, sizeof(text), "u%d", user);
	return text;
}

/* -1 when he is of the crowd. */
static int
user_of(struct str who)
{
	for (int u = 0; u < USERS; u++)
		if (strlen(name(u)) == who.len &&
		    memcmp(name(u), who.p, who.len) == 0)
			return u;
	return -1;
}

static void
world_feed_add(struct client *k, int room)
{
	struct feed_queue *q = room % 2 ? &k->c.feeds : &k->c.behind;
	struct feed *feed = calloc(1, sizeof(*feed));

	assert_non_null(feed);
	feed->room = rooms_get(world.w.rooms, world.f->tenant, world.ids[room],
	    world.tokens[room]);
	feed->conn = &k->c;
	LIST_INSERT_HEAD(&feed->room->feeds, feed, in_room);
	TAILQ_INSERT_TAIL(q, feed, in_conn);
	feed->state = FEED_LIVE;
	ws_presence_feed(feed);
}

static struct feed *
world_feed_of(struct client *k, uint64_t room, struct feed_queue **in)
{
	struct feed_queue *q[] = { &k->c.feeds, &k->c.behind };
	struct feed *feed;

	for (int i = 0; i < 2; i++) {
		*in = q[i];
		TAILQ_FOREACH(feed, q[i], in_conn)
			if (feed->room->id == room)
				return feed;
	}
	return NULL;
}

static void
world_feed_del(struct client *k, uint64_t room)
{
	struct feed_queue *in;
	struct feed *feed = world_feed_of(k, room, &in);
	struct room *r;

	if (feed == NULL)
		return;
	r = feed->room;
	TAILQ_REMOVE(in, feed, in_conn);
	LIST_REMOVE(feed, in_room);
	free(feed);
	rooms_release(world.w.rooms, r);
}

static int
room_index(uint64_t id)
{
	for (int i = 0; i < ROOMS; i++)
		if (world.ids[i] == id)
			return i;
	return -1;
}

struct client *
world_open(int user)
{
	struct client *k = NULL;

	for (int i = 0; i < CONNS && k == NULL; i++)
		if (!world.clients[i].open)
			k = &world.clients[i];
	if (k == NULL)
		return NULL;
	memset(k, 0, sizeof(*k));
	k->open = true;
	k->user = user;
	k->c.w = &world.w;
	k->c.state = WS_OPEN;
	TAILQ_INIT(&k->c.feeds);
	TAILQ_INIT(&k->c.behind);
	k->c.user = users_get(world.w.users, world.f->tenant, name(user),
	    strlen(name(user)));
	LIST_INSERT_HEAD(&k->c.user->conns, &k->c, in_user);
	for (int i = 0; i < ROOMS; i++)
		if (world.member[i][user])
			world_feed_add(k, i);
	return k;
}

void
world_close(struct client *k)
{
	for (int i = 0; i < ROOMS; i++)
		world_feed_del(k, world.ids[i]);
	ws_presence_disconnect(&k->c);
	LIST_REMOVE(&k->c, in_user);
	users_release(world.w.users, k->c.user);
	k->open = false;
}

void
world_set_online(int user, bool is)
{
	struct rec_presence r = { world.f->tenant, is, str(name(user)) };

	world.online[user] = is;
	ws_presence_change(world.w.presence, &r);
}

/* What fanout does with one. */
static void
deliver(const struct wire_record *rec)
{
	bool joined = rec->type == REC_EVENT_JOINED;
	struct rec_event_members e;
	struct str who;
	size_t at = 0;

	if (!joined && rec->type != REC_EVENT_LEFT)
		return;
	assert_int_equal(rec_event_members_get(rec, &e), 0);
	while (rec_event_members_next(&e, &at, &who)) {
		int user = user_of(who);
		struct feed_queue *in;

		for (int i = 0; i < CONNS; i++) {
			struct client *k = &world.clients[i];

			if (!k->open || k->user != user)
				continue;
			if (!joined)
				world_feed_del(k, e.room);
			else if (world_feed_of(k, e.room, &in) == NULL)
				world_feed_add(k, room_index(e.room));
		}
	}
	ws_presence_members(world.w.presence, &e, joined);
}

void
world_deliver_late(void)
{
	struct wire_record rec;
	long n;

	while ((n = wire_next((uint8_t *)buf_head(&world.late), world.late.len,
		    &rec)) > 0) {
		deliver(&rec);
		buf_drain(&world.late, (size_t)n);
	}
}

static void
keep_events(void)
{
	for (unsigned i = 0; i < fixture_events(world.f, 0); i++) {
		struct rec_publish p;

		fixture_event(world.f, i, &p);
		assert_int_equal(buf_add(&world.late, p.inner.whole,
				     p.inner.whole_len),
		    0);
	}
}

bool
world_small(int room)
{
	int n = room == 0 ? CROWD : 1;

	for (int u = 0; u < USERS; u++)
		n += world.member[room][u];
	return n <= PRESENCE_MEMBERS_MAX;
}

static bool
share(int a, int b)
{
	for (int i = 0; i < ROOMS; i++)
		if (world.member[i][a] && world.member[i][b] && world_small(i))
			return true;
	return false;
}

static void
note_shared(bool anew)
{
	for (int a = 0; a < USERS; a++)
		for (int b = 0; b < USERS; b++)
			world.shared[a][b] = share(a, b) ||
			    (world.shared[a][b] && !anew);
}

void
world_change_member(int room, int user)
{
	fixture_begin(world.f);
	if (world.member[room][user])
		assert_int_equal(fixture_remove(world.f, world.tokens[room], "",
				     name(user)),
		    OUTCOME_OK);
	else
		assert_int_equal(fixture_add(world.f, world.tokens[room], "",
				     name(user), MEMBER_PLAIN),
		    OUTCOME_OK);
	fixture_commit(world.f);
	world.member[room][user] = !world.member[room][user];
	note_shared(false);
	keep_events();
}

int
world_up(void **state)
{
	(void)state;
	fixture_up((void **)&world.f);
	memset(&world.w, 0, sizeof(world.w));
	memset(world.clients, 0, sizeof(world.clients));
	memset(world.member, 0, sizeof(world.member));
	memset(world.online, 0, sizeof(world.online));
	memset(world.shared, 0, sizeof(world.shared));
	buf_init(&world.late, 16 * 1024 * 1024);
	world.w.base = loop_new();
	world.w.reader = reader_open(world.f->dsn.path, 1000);
	world.w.presence = ws_presence_new(&world.w);
	world.w.rooms = rooms_new(&world.w);
	world.w.users = users_new();
	for (int i = 0; i < ROOMS; i++) {
		char users[CROWD * 10] = "x0";
		size_t len = 2;

		for (int k = 1; i == 0 && k < CROWD; k++)
			len += (size_t)sprintf(users + len, ",x%d", k);
		fixture_begin(world.f);
		assert_int_equal(fixture_room(world.f, ROOM_GROUP, "", users,
				     world.tokens[i]),
		    OUTCOME_OK);
		world.ids[i] = world.f->reply.room;
		fixture_commit(world.f);
	}
	return 0;
}

int
world_down(void **state)
{
	(void)state;
	for (int i = 0; i < CONNS; i++)
		if (world.clients[i].open)
			world_close(&world.clients[i]);
	rooms_free(world.w.rooms);
	users_free(world.w.users);
	ws_presence_free(world.w.presence);
	reader_close(world.w.reader);
	event_base_free(world.w.base);
	buf_free(&world.late);
	fixture_down((void **)&world.f);
	return 0;
}

/* The loop, until nothing is left to do. */
void
world_settle(void)
{
	rooms_confirmed(world.w.rooms, world.serial);
	while (evtimer_pending(world.w.presence->timer, NULL)) {
		world_turn(true);
		for (int i = 0; i < CONNS; i++) {
			if (!world.clients[i].open || world.clients[i].slow)
				continue;
			world.clients[i].c.out.bytes = 0;
			ws_presence_wake(&world.clients[i].c);
		}
	}
}

void
world_check(void)
{
	note_shared(true);
	for (int i = 0; i < CONNS; i++) {
		struct client *k = &world.clients[i];

		if (!k->open || k->slow)
			continue;
		assert_true(ws_presence_synced(&k->c));
		for (int u = 0; u < USERS; u++) {
			if (u == k->user || !share(u, k->user))
				continue;
			assert_int_equal(k->told[u] == 1, world.online[u]);
		}
	}
}

/* Events are lost: lists of rooms are read again. */
void
world_lose(void)
{
	struct feed_queue *in;

	buf_clear(&world.late);
	ws_presence_lost(world.w.presence);
	for (int i = 0; i < CONNS; i++) {
		struct client *k = &world.clients[i];

		for (int r = 0; k->open && r < ROOMS; r++) {
			bool has = world_feed_of(k, world.ids[r], &in) != NULL;

			if (has && !world.member[r][k->user])
				world_feed_del(k, world.ids[r]);
			else if (!has && world.member[r][k->user])
				world_feed_add(k, r);
		}
	}
}
