// SPDX-License-Identifier: MIT
// Who is in a room, beside the messages: roles, presence, adding, leaving.
import { dialog, fill, h, iconButton, toast } from "./dom.js";
import { avatar } from "./chat_rooms.js";
import { userList } from "./chat_dialogs.js";

const PAGE = 200;

export class Members {
	constructor(store, close)
	{
		this.store = store;
		this.room = null;
		this.members = [];
		this.cursor = null;
		this.head = h("h2", null, "Members");
		this.list = h("ul", { class: "member-list" });
		this.error = h("p", { class: "form-error", role: "alert" });
		this.tools = h("div", { class: "member-tools" });
		this.el = h("aside", { class: "members", hidden: true,
		    "aria-label": "Members" },
		    h("div", { class: "pane-head" }, this.head,
			h("span", { class: "push" }),
			iconButton("close", "Close members", close)),
		    this.tools, this.error, this.list);
	}

	async show(room)
	{
		this.room = room;
		this.members = [];
		this.cursor = null;
		this.draw();
		await this.load();
	}

	async load()
	{
		const { room } = this;

		try {
			const page = await this.store.rest.members(room.id,
			    { limit: PAGE, ...(this.cursor ?
				{ cursor: this.cursor } : {}) });

			if (room !== this.room)
				return;
			this.members.push(...page.members);
			this.cursor = page.next_cursor;
			this.error.textContent = "";
		} catch (e) {
			this.error.textContent = e.message;
		}
		this.draw();
	}

	draw()
	{
		const { store, room } = this;

		if (!room)
			return;
		const online = (m) => m.user_id === store.me ||
		    store.client.isOnline(m.user_id);
		const sorted = [...this.members].sort((a, b) =>
		    online(b) - online(a) ||
		    a.user_id.localeCompare(b.user_id));
		const mine = this.members.find((m) => m.user_id === store.me);
		const admin = mine?.role === "admin" && room.type !== "dm";

		this.head.textContent = "Members" +
		    (this.members.length ? ` · ${this.members.length}` +
			(this.cursor ? "+" : "") : "");
		fill(this.tools, admin && h("form", { class: "row",
		    onsubmit: (e) => this.addUsers(e) },
		h("input", { class: "grow", autocomplete: "off",
		    "aria-label": "User ids to add", autocapitalize: "off",
		    placeholder: "Add user ids" }),
		h("button", { class: "button", type: "submit" }, "Add")));
		fill(this.list, sorted.map((m) => this.row(m, online(m), admin)),
		    this.cursor && h("li", null, h("button", { type: "button",
			class: "button wide", onclick: () => this.load() },
		    "More")),
		    room.type !== "dm" && mine && h("li", null,
			h("button", { type: "button", class: "button wide",
			    onclick: () => this.leave() }, "Leave room")));
	}

	row(m, online, admin)
	{
		return h("li", { class: "member" },
		    avatar(m.user_id, online),
		    h("span", { class: "member-name" }, m.user_id,
			m.user_id === this.store.me && h("span",
			    { class: "muted" }, " you")),
		    m.role === "admin" && h("span", { class: "tag" },
			"admin"),
		    h("span", { class: "sr" }, online ? "online" : "offline"),
		    admin && m.user_id !== this.store.me && iconButton(
			"close", `Remove ${m.user_id}`, () =>
			    this.remove(m)));
	}

	async addUsers(e)
	{
		const input = e.target.querySelector("input");
		const ids = userList(input.value);

		e.preventDefault();
		if (!ids.length)
			return;
		try {
			await this.store.rest.addMembers(this.room.id, ids);
			await this.show(this.room);
			this.tools.querySelector("input")?.focus();
		} catch (err) {
			this.error.textContent = err.message;
		}
	}

	remove(m)
	{
		dialog(`Remove ${m.user_id}?`, h("p", null,
		    "Nothing of what comes after reaches this user."),
		"Remove", async () => {
			await this.store.rest.removeMember(this.room.id,
			    m.user_id);
			await this.show(this.room);
		}, true);
	}

	leave()
	{
		const { room, store } = this;

		dialog("Leave this room?", h("p", null, room.type === "channel" ?
		    "You may join again at any time." :
		    "Only an admin can bring you back."),
		"Leave", async () => {
			await store.rest.removeMember(room.id, store.me);
			toast("You have left the room.");
		}, true);
	}
}
