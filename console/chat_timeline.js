// SPDX-License-Identifier: MIT
// The messages of the open room: rows that are kept while they do not
// change, pages of older ones at the top, the place where one was reading.
import { copy, dayOf, fill, fullTime, h, icon, iconButton, timeOf }
    from "./dom.js";
import { avatar } from "./chat_rooms.js";

// Messages of one sender within this time share a head.
const GROUP_MS = 5 * 60 * 1000;
const NEAR = 80;

export class Timeline {
	constructor(store, act)
	{
		this.store = store;
		this.act = act;
		this.room = null;
		this.editing = null;
		this.rows = new Map();
		this.newFrom = 0;
		this.list = h("div", { class: "messages", role: "log",
		    "aria-label": "Messages", "aria-live": "off",
		    tabindex: "0" });
		this.spoken = h("div", { class: "sr", "aria-live": "polite" });
		this.jump = h("button", { type: "button", class: "jump",
		    hidden: true, onclick: () => this.toEnd() },
		icon("down"), "New messages");
		this.el = h("div", { class: "timeline" }, this.list, this.jump,
		    this.spoken);
		this.list.addEventListener("scroll", () => this.scrolled());
	}

	show(room)
	{
		this.room = room;
		this.editing = null;
		this.rows.clear();
		this.list.replaceChildren();
		this.spoken.textContent = "";
		this.spokenTo = room.lastSeq;
		// What had not been read when the room was opened.
		this.newFrom = room.unread > 0 ? room.lastAck + 1 : 0;
		this.draw();
		this.toEnd();
	}

	get atEnd()
	{
		const l = this.list;

		return l.scrollHeight - l.scrollTop - l.clientHeight < NEAR;
	}

	toEnd()
	{
		this.list.scrollTop = this.list.scrollHeight;
		this.jump.hidden = true;
	}

	scrolled()
	{
		if (this.atEnd) {
			this.jump.hidden = true;
			this.act.seen();
		}
		if (this.list.scrollTop < 200)
			this.older();
	}

	async older()
	{
		const { room } = this;

		if (!room?.loaded || !room.more || room.reading)
			return;
		try {
			if (!await this.store.older(room) ||
			    room !== this.room)
				return;
		} catch {
			return;
		}
		const l = this.list, from = l.scrollHeight - l.scrollTop;

		this.draw();
		l.scrollTop = l.scrollHeight - from;
	}

	// ---- what there is to show ----

	*plan()
	{
		const { room } = this;
		let before = null;

		if (!room.loaded) {
			for (let i = 0; i < 5; i++)
				yield { key: "ghost" + i, sig: "", make: () =>
				    h("div", { class: "ghost-row" }) };
			return;
		}
		yield { key: "top", sig: String(room.more), make: () =>
		    this.top() };
		for (const m of room.messages) {
			yield* this.dividers(m, before);
			yield this.entry(m, before, "m" + m.seq);
			before = m;
		}
		for (const m of room.pending.values()) {
			yield this.entry(m, before, "p" + m.client_msg_id);
			before = m;
		}
		if (!before)
			yield { key: "empty", sig: "", make: () =>
			    this.empty() };
	}

	*dividers(m, before)
	{
		const { missed } = this.room;
		const date = dayOf(m.created_at);

		if (!before || dayOf(before.created_at) !== date)
			yield { key: "day" + m.seq, sig: date, make: () =>
			    h("div", { class: "divider" },
				h("span", null, date)) };
		if (missed && m.seq === missed.from) {
			const text = missed.count === 1 ?
			    "1 missed message" :
			    `${missed.count} missed messages`;

			yield { key: "missed" + m.seq, sig: text, make: () =>
			    h("div", { class: "divider mark missed" },
				h("span", null, text)) };
		} else if (m.seq === this.newFrom)
			yield { key: "new", sig: "", make: () =>
			    h("div", { class: "divider mark" },
				h("span", null, "New")) };
	}

	entry(m, before, key)
	{
		const joined = before && before.sender_id === m.sender_id &&
		    new Date(m.created_at) - new Date(before.created_at) <
			GROUP_MS &&
		    dayOf(m.created_at) === dayOf(before.created_at) &&
		    m.seq !== this.newFrom &&
		    m.seq !== this.room.missed?.from;
		const editing = m.seq && this.editing === m.seq;

		return { key, sig: [joined, m.rev, m.deleted_at, m.pending,
		    m.failed?.code, editing, m.content].join("|"),
		make: () => this.row(m, joined, editing) };
	}

	// ---- rows ----

	top()
	{
		return h("div", { class: "top-of-room" }, this.room.more ?
		    h("button", { type: "button", class: "button small",
			onclick: () => this.older() }, "Older messages") :
		    h("span", null, "The beginning of this room"));
	}

	empty()
	{
		return h("div", { class: "empty" },
		    h("h3", null, "Nobody has said anything yet"),
		    h("p", null, "Write the first message. It is on disk " +
			"before anybody sees it, and everyone sees the same " +
			"order."));
	}

	row(m, joined, editing)
	{
		const mine = m.sender_id === this.store.me;
		const state = m.failed ? "failed" : m.pending ? "pending" :
		    m.deleted_at ? "deleted" : "";

		return h("article", { class: `message ${state}` +
		    (joined ? " joined" : ""), "data-seq": m.seq || null,
		    tabindex: "-1", // a tap shows the tools
		    "aria-label": `${m.sender_id}, ` +
			timeOf(m.created_at) },
		joined ? h("time", { class: "side-time", title:
			fullTime(m.created_at) }, timeOf(m.created_at)) :
		    avatar(m.sender_id),
		h("div", { class: "message-main" },
		    !joined && h("div", { class: "message-head" },
			h("b", null, m.sender_id),
			h("time", { datetime: m.created_at, title:
			    fullTime(m.created_at) }, timeOf(m.created_at))),
		    editing ? this.editor(m) : this.body(m),
		    m.failed && this.failure(m)),
		h("div", { class: "message-end" },
		    !m.pending && h("span", { class: "seq",
			title: `Number ${m.seq} of this room` },
		    "#" + m.seq),
		    m.pending && !m.failed && h("span", { class: "sending",
			title: "Not on disk yet" }, icon("clock"),
		    h("span", { class: "sr" }, "sending"))),
		!m.pending && !m.deleted_at && !editing && h("div",
		    { class: "message-tools" },
		    mine && iconButton("edit", "Edit message", () =>
			this.edit(m)),
		    iconButton("copy", "Copy message", () =>
			copy(m.content, "Message")),
		    mine && iconButton("trash", "Delete message", () =>
			this.act.remove(m))));
	}

	body(m)
	{
		if (m.deleted_at)
			return h("p", { class: "content gone" },
			    "Message deleted");
		return h("p", { class: "content" }, m.content,
		    m.edited_at && h("span", { class: "edited", title:
			fullTime(m.edited_at) }, " (edited)"));
	}

	failure(m)
	{
		return h("p", { class: "failure", role: "alert" },
		    m.failed.message || "The server refused it.", " ",
		    h("button", { type: "button", class: "link-button",
			onclick: () => this.store.again(this.room, m) },
		    "Try again"), " ",
		    h("button", { type: "button", class: "link-button",
			onclick: () => this.store.drop(this.room, m) },
		    "Discard"));
	}

	edit(m)
	{
		this.editing = m.seq;
		this.draw();
		const area = this.list.querySelector(".editor textarea");

		area?.focus();
		area?.setSelectionRange(area.value.length, area.value.length);
	}

	editLast()
	{
		const last = this.room.messages.findLast((m) =>
		    m.sender_id === this.store.me && !m.deleted_at);

		if (last)
			this.edit(last);
		return Boolean(last);
	}

	editor(m)
	{
		const area = h("textarea", { rows: "2", value: m.content,
		    "aria-label": "Edit message" });
		const error = h("p", { class: "form-error", role: "alert" });
		const done = () => {
			this.editing = null;
			this.draw();
			this.act.focus();
		};
		const save = async () => {
			try {
				if (area.value.trim() &&
				    area.value !== m.content)
					Object.assign(m, await this.store.rest
					    .edit(this.room.id, m.message_id,
						area.value));
				done();
			} catch (e) {
				error.textContent = e.message;
			}
		};

		area.addEventListener("keydown", (e) => {
			if (e.key === "Escape")
				done();
			else if (e.key === "Enter" && !e.shiftKey) {
				e.preventDefault();
				save();
			}
		});
		return h("div", { class: "editor" }, area, error,
		    h("div", { class: "row" },
			h("button", { type: "button",
			    class: "button small primary", onclick: save },
			"Save"),
			h("button", { type: "button", class: "button small",
			    onclick: done }, "Cancel")));
	}

	// ---- drawing ----

	draw()
	{
		const end = this.atEnd, l = this.list, was = this.rows;
		let at = l.firstChild;

		this.rows = new Map();
		for (const { key, sig, make } of this.plan()) {
			const old = was.get(key);
			const row = old && old.sig === sig ? old :
			    { sig, el: make() };

			if (row.el === at)
				at = at.nextSibling;
			else
				l.insertBefore(row.el, at);
			if (old && old !== row) {
				if (old.el === at)
					at = at.nextSibling;
				old.el.remove();
			}
			was.delete(key);
			this.rows.set(key, row);
		}
		for (const { el } of was.values())
			el.remove();
		if (end)
			this.toEnd();
	}

	// Something came: keeps the place, says it aloud.
	arrived()
	{
		const { room } = this, end = this.atEnd;
		const last = room.messages.at(-1);

		this.draw();
		if (!last || last.seq <= this.spokenTo)
			return;
		this.spokenTo = last.seq;
		if (last.sender_id !== this.store.me) {
			fill(this.spoken, `${last.sender_id}: ` +
			    (last.content || ""));
			if (!end)
				this.jump.hidden = false;
		} else
			this.toEnd();
	}
}
