// SPDX-License-Identifier: MIT
// The list of rooms at the left of the chat.
import { arrows, fill, h, icon, iconButton, shortTime } from "./dom.js";
import { command } from "./sign_in.js";
import { createRoom, browseChannels } from "./chat_dialogs.js";

const KIND = { dm: "user", group: "group", channel: "hash" };

export function initials(name)
{
	const parts = name.split(/[\s._@-]+/).filter(Boolean);

	return ((parts[0]?.[0] || "?") + (parts[1]?.[0] || "")).toUpperCase();
}

export function avatar(name, online)
{
	let hash = 0;

	for (const c of name)
		hash = (hash * 31 + c.codePointAt(0)) % 997;
	return h("span", { class: "avatar tint-" + hash % 6 +
	    (online ? " online" : ""), "aria-hidden": "true" },
	    initials(name));
}

function lastLine(store, room)
{
	const m = room.lastMessage;
	const typing = store.client.typingIn(room.id)
	    .filter((u) => u !== store.me);

	if (typing.length)
		return h("span", { class: "typing-line" },
		    `${typing[0]} is typing…`);
	if (!m)
		return "No messages yet";
	if (m.deleted_at)
		return "Message deleted";
	return (m.sender_id === store.me ? "You: " : room.type === "dm" ?
	    "" : m.sender_id + ": ") + (m.content || "");
}

export class RoomList {
	constructor(store, open)
	{
		this.store = store;
		this.open = open;
		this.current = null;
		this.search = h("input", { type: "search", class: "search",
		    placeholder: "Find a room", "aria-label": "Find a room",
		    oninput: () => this.draw() });
		this.list = h("div", { class: "room-list", role: "list",
		    "aria-label": "Rooms" });
		arrows(this.list, ".room");
		this.el = h("nav", { class: "rooms", "aria-label": "Rooms" },
		    h("div", { class: "pane-head" }, h("h2", null, "Rooms"),
			h("span", { class: "push" }),
			iconButton("hash", "Browse channels", () =>
			    browseChannels(store, open)),
			iconButton("plus", "New room", () =>
			    createRoom(store, open))),
		    h("div", { class: "search-row" }, icon("search"),
			this.search),
		    this.list);
	}

	draw()
	{
		const { store } = this;
		const find = this.search.value.trim().toLowerCase();
		const focused = document.activeElement?.dataset?.room;
		const rooms = store.sorted().filter((r) => !find ||
		    store.titleOf(r).toLowerCase().includes(find));

		this.search.parentElement.hidden = store.rooms.size < 6;
		if (!store.roomsLoaded) {
			fill(this.list, [1, 2, 3, 4].map(() =>
			    h("div", { class: "room ghost" })));
			return;
		}
		if (rooms.length === 0) {
			fill(this.list, find ?
			    h("p", { class: "empty-note" },
				"No room is called that.") : this.empty());
			return;
		}
		fill(this.list, rooms.map((r) => this.row(r)));
		if (focused)
			this.list.querySelector(
			    `[data-room="${focused}"]`)?.focus();
	}

	row(room)
	{
		const { store } = this;
		const title = store.titleOf(room);
		const online = room.type === "dm" && room.peers?.[0] &&
		    store.client.isOnline(room.peers[0]);
		const unread = room.unread;
		const label = `${title}, ${room.type}` +
		    (unread ? `, ${unread} unread` : "") +
		    (online ? ", online" : "");

		return h("div", { role: "listitem" },
		    h("button", { type: "button", "data-room": room.id,
			class: "room" + (room === this.current ? " current" :
			    "") + (unread ? " unread" : ""),
			"aria-label": label,
			"aria-current": room === this.current ? "true" : null,
			onclick: () => this.open(room) },
		    room.type === "dm" ? avatar(title, online) :
			h("span", { class: "avatar kind" },
			    icon(KIND[room.type] || "hash")),
		    h("span", { class: "room-text" },
			h("span", { class: "room-top" },
			    h("span", { class: "room-name" }, title),
			    h("span", { class: "room-time" },
				room.lastMessage ? shortTime(
				    room.lastMessage.created_at ||
				    Date.now()) : "")),
			h("span", { class: "room-bottom" },
			    h("span", { class: "room-last" },
				lastLine(store, room)),
			    unread > 0 && h("span", { class: "badge" },
				unread > 99 ? "99+" : String(unread))))));
	}

	empty()
	{
		const who = this.store.me.replace(/'/g, "'\\''");

		return h("div", { class: "empty" },
		    h("h3", null, "No rooms yet"),
		    h("p", null, "Make one, find a channel, or run this:"),
		    command(`curl -sS ${location.origin}/rooms \\\n` +
			"  -H 'X-API-Key: sk_…' \\\n" +
			"  -H 'Content-Type: application/json' \\\n" +
			`  -d '{"type":"dm","members":["${who}","bob"]}'`),
		    h("div", { class: "row" },
			h("button", { type: "button", class: "button primary",
			    onclick: () => createRoom(this.store, this.open) },
			"New room"),
			h("button", { type: "button", class: "button",
			    onclick: () => browseChannels(this.store,
				this.open) }, "Browse channels")));
	}
}
