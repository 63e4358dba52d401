// SPDX-License-Identifier: MIT
// Making rooms, and finding channels to join.
import { dialog, field, fill, h, icon } from "./dom.js";

const TYPES = {
	dm: ["Direct", "Two people, for good. Asking twice gives the same room."],
	group: ["Group", "By invitation. You become its admin."],
	channel: ["Channel", "Anybody of the tenant may find and join it."],
};

function typePicker(choose)
{
	return h("fieldset", { class: "segments" },
	    h("legend", { class: "sr" }, "Kind of room"),
	    Object.entries(TYPES).map(([type, [label]]) =>
		h("label", { class: "segment" },
		    h("input", { type: "radio", name: "room-type",
			value: type, checked: type === "dm",
			onchange: () => choose(type) }),
		    h("span", null, label))));
}

export const userList = (text) =>
    text.split(/[,\n]/).map((s) => s.trim()).filter(Boolean);

export function createRoom(store, open)
{
	const about = h("p", { class: "hint" }, TYPES.dm[1]);
	const name = field("Name", h("input", { autocomplete: "off",
	    placeholder: "ops" }));
	const who = field("With", h("input", { autocomplete: "off",
	    placeholder: "bob", autocapitalize: "off" }),
	"A user id of your own.");
	let type = "dm";
	const choose = (t) => {
		type = t;
		about.textContent = TYPES[t][1];
		name.hidden = t === "dm";
		who.querySelector("label").textContent = t === "dm" ?
		    "With" : "Members, separated by commas (optional)";
		who.input.placeholder = t === "dm" ? "bob" : "bob, carol";
	};

	choose("dm");
	dialog("New room", [typePicker(choose), about, name, who], "Create",
	    async () => {
		const members = userList(who.input.value);

		if (type === "dm" && members.length !== 1) {
			who.error("Name the one other user.");
			throw new Error("");
		}
		const data = await store.rest.createRoom({ type,
		    members: type === "dm" ? [store.me, members[0]] : members,
		    ...(type !== "dm" && name.input.value.trim() ?
			{ name: name.input.value.trim() } : {}) });
		const room = store.takeRoom(data);

		store.loadPeer(room);
		store.changed("rooms");
		open(room);
	});
	who.input.focus();
}

function channelRow(store, data, join)
{
	const inside = store.rooms.has(data.room_id);

	return h("li", { class: "pick" }, icon("hash"),
	    h("span", { class: "pick-text" },
		h("b", null, data.name || "unnamed channel"),
		h("span", { class: "muted" }, `${data.last_seq} message` +
		    (data.last_seq === 1 ? "" : "s"))),
	    h("button", { type: "button", class: "button small" +
		(inside ? "" : " primary"), onclick: () => join(data) },
	    inside ? "Open" : "Join"));
}

export function browseChannels(store, open)
{
	const list = h("ul", { class: "picks" }, h("li", { class: "hint" },
	    "Looking…"));
	const error = h("p", { class: "form-error", role: "alert" });
	const more = h("button", { type: "button", class: "button wide",
	    hidden: true }, "More");
	const box = dialog("Channels", [list, more, error]);
	const join = async (data) => {
		try {
			if (!store.rooms.has(data.room_id))
				await store.rest.addMember(data.room_id,
				    store.me);
			const room = store.takeRoom(data);

			box.close();
			store.refresh(room);
			store.changed("rooms");
			open(room);
		} catch (e) {
			error.textContent = e.message;
		}
	};
	const load = async (cursor) => {
		try {
			const page = await store.rest.channels({ limit: 50,
			    ...(cursor ? { cursor } : {}) });

			if (!cursor)
				fill(list);
			for (const data of page.channels)
				list.append(channelRow(store, data, join));
			if (!list.children.length)
				list.append(h("li", { class: "hint" },
				    "No channels yet. Make one with " +
				    "“New room”: others will find it here."));
			more.hidden = !page.next_cursor;
			more.onclick = () => load(page.next_cursor);
		} catch (e) {
			error.textContent = e.message;
		}
	};

	load(null);
}
