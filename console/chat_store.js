// SPDX-License-Identifier: MIT
// What the chat knows: rooms, messages, who is there.  Fed by the client of
// contrib/client-js and by REST; draws nothing, says what has changed.
import { ChatClient } from "./client/index.js";
import { headersOf } from "./session.js";
import { ObservedWebSocket, observedFetch } from "./wire_log.js";

const PAGE = 50;
// Of a room that is open longer, older messages are read again by pages.
const KEEP = 2000;
const END = Number.MAX_SAFE_INTEGER;

export class Room {
	constructor(data)
	{
		this.id = data.room_id;
		this.messages = [];   // rising seq, without a hole
		this.pending = new Map(); // client_msg_id -> message
		this.loaded = false;
		this.more = true;     // older ones may be read
		this.lastAck = 0;
		this.lastMessage = null;
		this.peers = null;    // of a dm, by name
		this.missed = null;   // { from, count } since the last break
		this.take(data);
	}

	take(data)
	{
		this.type = data.type ?? this.type;
		this.name = data.name ?? null;
		this.lastSeq = Math.max(this.lastSeq || 0, data.last_seq || 0);
		this.created = data.created_at ?? this.created;
		if (data.last_ack !== undefined)
			this.lastAck = Math.max(this.lastAck, data.last_ack);
		if (data.last_message)
			this.lastMessage = data.last_message;
	}

	get unread()
	{
		return Math.max(0, this.lastSeq - this.lastAck);
	}

	get newest()
	{
		return this.messages.length ? this.messages.at(-1).seq : 0;
	}

	at(seq)
	{
		const i = seq - (this.messages[0]?.seq ?? 0);

		return this.messages[i]?.seq === seq ? this.messages[i] :
		    this.messages.find((m) => m.seq === seq);
	}
}

export class Store {
	// changed(what, room): "rooms", "messages", "state", "typing",
	// "presence", "members", "gone".
	constructor(identity, changed)
	{
		this.me = identity.user;
		this.changed = changed;
		this.rooms = new Map();
		this.state = "idle";
		this.detail = {};
		this.everOnline = false;
		this.broken = false;  // came back from a break, not caught up
		this.queued = [];     // failed sends stay until they are dropped
		this.client = new ChatClient({
			url: location.origin,
			...(identity.kind === "token" ?
			    { token: identity.token } :
			    { headers: headersOf(identity) }),
			WebSocket: ObservedWebSocket,
			fetch: (url, init) => observedFetch(url, init),
			backoff: { base: 300, max: 8000 },
		});
		this.rest = this.client.rest;
		this.listen();
	}

	async start()
	{
		this.client.connect().catch(() => {});
		await this.loadRooms();
	}

	stop()
	{
		this.client.close();
	}

	// ---- rooms ----

	async loadRooms()
	{
		const page = await this.rest.rooms({ limit: 100 });

		for (const data of page.rooms)
			this.takeRoom(data);
		this.roomsLoaded = true;
		this.changed("rooms");
		for (const room of this.rooms.values())
			this.loadPeer(room);
	}

	takeRoom(data)
	{
		let room = this.rooms.get(data.room_id);

		if (room)
			room.take(data);
		else {
			room = new Room(data);
			this.rooms.set(room.id, room);
		}
		return room;
	}

	// A dm is called by who is in it.
	async loadPeer(room)
	{
		if (room.type !== "dm" || room.peers)
			return;
		room.peers = [];
		try {
			const { members } = await this.rest.members(room.id);

			room.peers = members.map((m) => m.user_id)
			    .filter((u) => u !== this.me);
			this.changed("rooms");
		} catch {
			room.peers = null;
		}
	}

	titleOf(room)
	{
		if (room.name)
			return room.name;
		if (room.type === "dm")
			return room.peers?.[0] || "Direct message";
		return room.type === "channel" ? "unnamed channel" :
		    "Unnamed group";
	}

	// By what happened last.
	sorted()
	{
		const when = (r) => r.lastMessage?.created_at || r.created ||
		    "";

		return [...this.rooms.values()].sort((a, b) =>
		    when(a) < when(b) ? 1 : when(a) > when(b) ? -1 : 0);
	}

	// ---- messages ----

	// The newest page, when the room is opened first.
	async open(room)
	{
		if (room.loaded)
			return;
		const { messages, has_more: more } = await this.rest.history(
		    room.id, { beforeSeq: END, limit: PAGE });

		if (room.loaded)
			return;
		const live = room.messages.filter((m) =>
		    m.seq > (messages.at(-1)?.seq ?? 0));

		room.messages = [...messages, ...live];
		room.more = more;
		room.loaded = true;
		this.changed("messages", room);
	}

	// One page further back; false when there is none.
	async older(room)
	{
		if (!room.more || room.reading || !room.messages.length)
			return false;
		room.reading = true;
		try {
			const { messages, has_more: more } =
			    await this.rest.history(room.id, {
				beforeSeq: room.messages[0].seq,
				limit: PAGE });

			room.messages.unshift(...messages);
			room.more = more;
			return true;
		} finally {
			room.reading = false;
		}
	}

	takeMessage(m)
	{
		const room = this.rooms.get(m.room_id);

		if (!room)
			return;
		if (m.pending) {
			room.pending.set(m.client_msg_id, m);
			this.changed("messages", room);
			return;
		}
		if (m.client_msg_id)
			room.pending.delete(m.client_msg_id);
		if (m.seq > room.newest) {
			if (room.loaded || !room.messages.length ||
			    m.seq === room.newest + 1)
				room.messages.push(m);
			else
				room.messages = [m];
			if (room.messages.length > KEEP) {
				room.messages.splice(0, PAGE);
				room.more = true;
			}
		} else if (room.at(m.seq))
			Object.assign(room.at(m.seq), m);
		if (m.seq > room.lastSeq && this.broken &&
		    m.sender_id !== this.me)
			this.miss(room, m.seq);
		room.lastSeq = Math.max(room.lastSeq, m.seq);
		if (!room.lastMessage || m.seq >= room.lastMessage.seq)
			room.lastMessage = m;
		this.changed("messages", room);
		this.changed("rooms");
	}

	// It came while the connection was away.
	miss(room, seq)
	{
		room.missed = room.missed && room.missed.during === this.breaks ?
		    room.missed : { from: seq, count: 0, during: this.breaks };
		room.missed.count++;
	}

	send(room, content)
	{
		this.client.send(room.id, content).catch(() => {});
	}

	// A message that was refused: again, or away with it.
	again(room, m)
	{
		room.pending.delete(m.client_msg_id);
		this.send(room, m.content);
	}

	drop(room, m)
	{
		room.pending.delete(m.client_msg_id);
		this.changed("messages", room);
	}

	read(room)
	{
		if (room.lastAck >= room.lastSeq)
			return;
		room.lastAck = room.lastSeq;
		this.client.ack(room.id, room.lastSeq);
		this.changed("rooms");
	}

	// ---- what the client says ----

	listen()
	{
		const c = this.client;

		c.on("message", (m) => this.takeMessage(m));
		c.on("failed", (f) => {
			const room = this.rooms.get(f.room_id);
			const m = room?.pending.get(f.client_msg_id);

			if (!m)
				return;
			m.failed = f.error;
			this.changed("messages", room);
		});
		c.on("edited", (e) => this.change(e, { content: e.content,
		    edited_at: e.edited_at, rev: e.rev }));
		c.on("deleted", (e) => this.change(e, { content: undefined,
		    meta: undefined, rev: e.rev,
		    deleted_at: e.deleted_at || new Date().toISOString() }));
		c.on("ack", (a) => {
			const room = this.rooms.get(a.room_id);

			if (!room || a.user_id !== this.me)
				return;
			room.lastAck = Math.max(room.lastAck, a.seq);
			this.changed("rooms");
		});
		c.on("typing", (t) => this.changed("typing",
		    this.rooms.get(t.room_id)));
		c.on("presence", () => this.changed("presence"));
		c.on("state", (s) => this.takeState(s));
		c.on("sync", () => this.caughtUp());
		c.on("error", (e) => this.changed("error", e));
		this.listenRooms(c);
	}

	listenRooms(c)
	{
		const seen = (e) => {
			const room = this.takeRoom({ room_id: e.room_id,
			    ...e.room });

			this.loadPeer(room);
			this.changed("rooms");
			this.changed("members", room);
		};
		const gone = (e) => {
			const room = this.rooms.get(e.room_id);

			this.rooms.delete(e.room_id);
			if (room)
				this.changed("gone", room);
			this.changed("rooms");
		};

		c.on("room.joined", (e) => {
			seen(e);
			// Who joins starts at the head.
			const room = this.rooms.get(e.room_id);

			if (!room.loaded && room.lastAck === 0)
				this.refresh(room);
		});
		c.on("room.updated", seen);
		c.on("room.left", gone);
		c.on("room.deleted", gone);
		c.on("resync", () => {
			for (const room of this.rooms.values())
				Object.assign(room, { messages: [],
				    loaded: false, more: true });
			this.changed("messages");
		});
	}

	// Where the user stands in a room that has just appeared.
	async refresh(room)
	{
		try {
			const { rooms } = await this.rest.rooms({ limit: 20 });

			for (const data of rooms)
				if (data.room_id === room.id)
					room.take(data);
			this.changed("rooms");
		} catch {
			// The next load of the list tells.
		}
	}

	change(e, what)
	{
		const room = this.rooms.get(e.room_id);
		const m = room?.at(e.seq);

		if (m && !(m.rev >= e.rev))
			Object.assign(m, what);
		if (room?.lastMessage?.seq === e.seq)
			Object.assign(room.lastMessage, what);
		if (room) {
			this.changed("messages", room);
			this.changed("rooms");
		}
	}

	takeState(s)
	{
		const was = this.state;

		this.state = s.state;
		this.detail = s;
		if (was === "online" && s.state !== "online" &&
		    s.state !== "closed") {
			this.broken = true;
			this.breaks = (this.breaks || 0) + 1;
		}
		this.changed("state");
	}

	caughtUp()
	{
		const back = this.broken && this.everOnline;

		this.broken = false;
		this.everOnline = true;
		this.changed("state");
		if (back)
			this.changed("back");
	}
}
