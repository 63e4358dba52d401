// SPDX-License-Identifier: MIT
// The chat view: rooms, the open room, its members, and the connection.
import { copyButton, dialog, fill, h, icon, iconButton, toast }
    from "./dom.js";
import { identity, onIdentity } from "./session.js";
import { signInView } from "./sign_in.js";
import { Store } from "./chat_store.js";
import { RoomList } from "./chat_rooms.js";
import { Timeline } from "./chat_timeline.js";
import { Members } from "./chat_members.js";

const WORDS = { idle: "Connecting", connecting: "Connecting",
    syncing: "Catching up", online: "Live", waiting: "Trying again",
    offline: "Offline", stopped: "Stopped", closed: "Closed" };
const TITLE = document.title;
const encoder = new TextEncoder();

class Chat {
	constructor(box, who)
	{
		this.box = box;
		this.room = null;
		this.shown = true;
		this.store = new Store(who, (what, x) => this.changed(what, x));
		this.list = new RoomList(this.store, (room) => this.open(room));
		this.timeline = new Timeline(this.store, {
			seen: () => this.seen(),
			remove: (m) => this.remove(m),
			focus: () => this.input.focus(),
		});
		this.members = new Members(this.store, () =>
		    this.toggleMembers(false));
		this.build();
		this.onSeen = () => this.seen();
		window.addEventListener("focus", this.onSeen);
		document.addEventListener("visibilitychange", this.onSeen);
	}

	build()
	{
		this.title = h("h2", { class: "room-title" });
		this.sub = h("div", { class: "room-sub" });
		this.banner = h("div", { class: "banner", role: "status",
		    hidden: true });
		this.typing = h("div", { class: "typing", "aria-live":
		    "polite" });
		this.input = h("textarea", { class: "composer-input", rows: "1",
		    "aria-label": "Message", placeholder: "Write a message",
		    oninput: () => this.typed(),
		    onkeydown: (e) => this.key(e) });
		this.count = h("span", { class: "count" });
		this.open_ = h("div", { class: "room-view", hidden: true },
		    h("div", { class: "pane-head room-head" },
			iconButton("back", "Back to the rooms", () =>
			    this.pane("rooms"), { class: "icon-button back" }),
			h("div", { class: "room-titles" }, this.title,
			    this.sub),
			h("span", { class: "push" }),
			this.membersButton = iconButton("group", "Members",
			    () => this.toggleMembers(),
			    { "aria-expanded": "false" })),
		    this.banner, this.timeline.el, this.typing,
		    h("form", { class: "composer", onsubmit: (e) => {
			e.preventDefault();
			this.send();
		    } }, this.input, this.count,
		    h("button", { class: "button primary send",
			type: "submit", "aria-label": "Send" },
		    icon("send"))));
		this.none = h("div", { class: "room-none" },
		    h("div", { class: "empty" },
			h("h3", null, "Pick a room"),
			h("p", null, "Everything you do here goes through " +
			    "the public API: look at it under Wire.")));
		this.el = h("div", { class: "chat", "data-pane": "rooms" },
		    this.list.el, this.open_, this.none, this.members.el);
		fill(this.box, this.el);
		this.list.draw();
		this.paintState();
	}

	async start()
	{
		try {
			await this.store.start();
		} catch (e) {
			toast(e.message, "bad");
			this.store.roomsLoaded = true;
			this.list.draw();
		}
	}

	stop()
	{
		window.removeEventListener("focus", this.onSeen);
		document.removeEventListener("visibilitychange", this.onSeen);
		document.title = TITLE;
		this.store.stop();
		fill(document.getElementById("link"));
	}

	pane(name)
	{
		this.el.dataset.pane = name;
		if (name === "rooms") {
			const at = this.room?.id;

			this.room = this.list.current = null;
			this.open_.hidden = true;
			this.none.hidden = false;
			this.toggleMembers(false);
			this.list.draw();
			this.el.querySelector(`[data-room="${at}"]`)?.focus();
		}
	}

	// ---- the open room ----

	async open(room)
	{
		this.room = this.list.current = room;
		this.pane("room");
		this.open_.hidden = false;
		this.none.hidden = true;
		this.head();
		this.timeline.show(room);
		this.list.draw();
		this.paintTyping();
		if (!this.members.el.hidden)
			this.members.show(room);
		this.input.focus();
		try {
			await this.store.open(room);
		} catch (e) {
			toast(e.message, "bad");
			return;
		}
		if (this.room === room) {
			this.timeline.draw();
			this.timeline.toEnd();
			this.seen();
		}
	}

	head()
	{
		const { room, store } = this, c = store.client;
		const peer = room.type === "dm" && room.peers?.[0];

		this.title.textContent = store.titleOf(room);
		fill(this.sub, peer ? h("span", { class: c.isOnline(peer) ?
		    "presence on" : "presence" }, c.isOnline(peer) ?
			"online" : "offline") : h("span", null, room.type),
		    h("code", { class: "room-id" }, room.id),
		    copyButton(() => room.id, "Copy room id"));
		this.input.placeholder = "Message " +
		    (room.type === "channel" ? "#" : "") + store.titleOf(room);
	}

	// Only what somebody looks at is read.
	seen()
	{
		const { room, store } = this;

		if (room?.loaded && this.shown && document.hasFocus() &&
		    !document.hidden && this.timeline.atEnd)
			store.read(room);
	}

	toggleMembers(on = this.members.el.hidden)
	{
		this.members.el.hidden = !on;
		this.membersButton.setAttribute("aria-expanded", String(on));
		if (on && this.room)
			this.members.show(this.room);
	}

	// ---- writing ----

	get limit()
	{
		return this.store.client.limits?.content || 16384;
	}

	typed()
	{
		const size = encoder.encode(this.input.value).length;

		this.fit();
		this.count.textContent = size > this.limit * 0.9 ?
		    String(this.limit - size) : "";
		this.count.classList.toggle("over", size > this.limit);
		if (this.room && this.input.value)
			this.store.client.typing(this.room.id);
	}

	fit()
	{
		this.input.style.height = "auto";
		this.input.style.height = Math.min(this.input.scrollHeight,
		    160) + "px";
	}

	key(e)
	{
		if (e.key === "Enter" && !e.shiftKey && !e.isComposing) {
			e.preventDefault();
			this.send();
		} else if (e.key === "ArrowUp" && !this.input.value &&
		    this.timeline.editLast())
			e.preventDefault();
	}

	send()
	{
		const text = this.input.value;

		if (!text.trim() || !this.room ||
		    encoder.encode(text).length > this.limit)
			return;
		this.timeline.newFrom = 0;
		this.store.send(this.room, text);
		this.input.value = "";
		this.typed();
		this.timeline.toEnd();
	}

	remove(m)
	{
		dialog("Delete this message?", [h("p", null,
		    "Its number stays, its text is gone for everybody."),
		    h("blockquote", null, m.content.slice(0, 200))],
		"Delete", () => this.store.rest.deleteMessage(this.room.id,
		    m.message_id), true);
	}

	// ---- what happens ----

	changed(what, x)
	{
		if (!this.el)
			return;
		switch (what) {
		case "messages":
			if (this.room && (!x || x === this.room))
				this.later("timeline");
			break;
		case "rooms":
			this.later("rooms");
			break;
		case "typing":
			this.later("rooms");
			this.paintTyping();
			break;
		case "presence":
			this.later("rooms");
			if (!this.members.el.hidden)
				this.members.draw();
			break;
		case "members":
			if (x === this.room && !this.members.el.hidden)
				this.members.show(x);
			break;
		case "gone":
			if (x === this.room) {
				toast("You are no longer in " +
				    this.store.titleOf(x) + ".");
				this.pane("rooms");
			}
			break;
		case "back":
			this.back();
			break;
		case "error":
			toast(x.message, "bad");
			break;
		case "state":
			this.paintState();
		}
	}

	// Once a frame, however much came.
	later(what)
	{
		this.due ??= new Set();
		this.due.add(what);
		if (this.due.size > 1 || this.waits)
			return;
		this.waits = true;
		// A hidden tab has no frames.
		setTimeout(() => {
			const due = this.due;

			this.due = null;
			this.waits = false;
			if (due.has("rooms") || due.has("timeline")) {
				this.list.draw();
				this.paintTitle();
			}
			if (this.room && due.has("rooms"))
				this.head();
			if (this.room && due.has("timeline")) {
				this.timeline.arrived();
				this.seen();
			}
		}, 16);
	}

	back()
	{
		let missed = 0;

		for (const room of this.store.rooms.values())
			if (room.missed?.during === this.store.breaks)
				missed += room.missed.count;
		toast(missed ? `Back. ${missed} missed ` +
		    `message${missed === 1 ? "" : "s"} caught up.` :
		    "Back. Nothing was missed.", "good");
	}

	paintTitle()
	{
		let unread = 0;

		for (const room of this.store.rooms.values())
			unread += room.unread;
		document.title = unread ? `(${unread}) ${TITLE}` : TITLE;
	}

	paintTyping()
	{
		const who = this.room ? this.store.client
		    .typingIn(this.room.id).filter((u) =>
			u !== this.store.me) : [];

		this.typing.textContent = who.length === 0 ? "" :
		    who.length === 1 ? `${who[0]} is typing…` :
			who.length === 2 ?
			    `${who[0]} and ${who[1]} are typing…` :
			    "Several people are typing…";
	}

	paintState()
	{
		const { store } = this, { state, detail } = store;
		const live = state === "online";
		const slot = live ? store.client.sessionId?.split("-")[0] :
		    null;

		fill(document.getElementById("link"), h("span",
		    { class: "dot " + (live ? "on" : state === "stopped" ?
			"off" : "wait") }),
		h("span", { class: "link-text", title: live ?
		    `session ${store.client.sessionId}` : "" },
		WORDS[state] || state, slot ? h("span", { class: "muted" },
		    ` worker ${slot}`) : ""));
		this.banner.hidden = live || !store.everOnline;
		this.banner.classList.toggle("bad", state === "stopped");
		this.banner.textContent = state === "stopped" ?
		    "The server has ended this session. " +
		    (detail.error?.message || "") :
		    state === "syncing" ? "Catching up…" :
			"Connection lost. Trying again; what you send " +
			"meanwhile waits here and is stored once.";
	}
}

export function startChat(box)
{
	let chat = null;
	const enter = (who) => {
		chat?.stop();
		chat = null;
		if (who === null) {
			signInView(box);
			return;
		}
		chat = new Chat(box, who);
		chat.start();
	};

	onIdentity(enter);
	enter(identity);
	return { visible(on) {
		if (!chat)
			return;
		chat.shown = on;
		if (on)
			chat.seen();
	} };
}
