// SPDX-License-Identifier: MIT
// What could not be delivered to a tenant's webhook: again, or away with it.
// These requests are the tenant's own, so they take its API key.
import { add, field, fill, fullTime, h, toast } from "./dom.js";
import { call } from "./session.js";

export class DeadLetters {
	// key: one of the tenant's, if the page knows it.
	constructor(key)
	{
		this.key = field("API key of this tenant", h("input",
		    { type: "password", class: "mono", autocomplete: "off",
		    placeholder: "sk_…", value: key || "" }),
		"Dead letters are read with the tenant’s own key.");
		this.error = h("p", { class: "form-error", role: "alert" });
		this.list = h("div", { class: "letters" });
		this.el = h("form", { class: "card section", novalidate: true,
		    onsubmit: (e) => {
			e.preventDefault();
			this.load();
		    } },
		h("h3", null, "Dead letters"), this.key,
		h("div", { class: "row" }, h("button", { class: "button",
		    type: "submit" }, "Show")), this.error, this.list);
	}

	ask(method, path)
	{
		return call(method, path, { headers:
		    { "X-API-Key": this.key.input.value.trim() } });
	}

	async load(cursor)
	{
		if (!this.key.input.value.trim()) {
			this.key.error("Enter a key of the tenant.");
			this.key.input.focus();
			return;
		}
		this.error.textContent = "";
		try {
			const page = await this.ask("GET",
			    "/admin/dead-letters?" + new URLSearchParams(
				{ limit: 50, ...(cursor ? { cursor } : {}) }));
			const rows = [...page.failed_messages.map((l) =>
			    this.row(l, "message")),
			...page.failed_notifications.map((l) =>
			    this.row(l, "notification"))];

			if (!cursor)
				fill(this.list);
			add(this.list, [rows, page.next_cursor &&
			    h("button", { type: "button",
				class: "button wide", onclick: (e) => {
				e.target.remove();
				this.load(page.next_cursor);
			    } }, "More")]);
			if (!this.list.children.length)
				fill(this.list, this.empty());
		} catch (e) {
			this.error.textContent = e.message;
		}
	}

	empty()
	{
		return h("p", { class: "hint" }, "None: everything was " +
		    "delivered, or is still being tried.");
	}

	row(letter, kind)
	{
		const el = h("div", { class: "letter" },
		    h("div", { class: "letter-text" },
			h("span", null, h("span", { class: "tag" }, kind),
			    " ", h("code", null, letter.id)),
			h("span", { class: "letter-error" },
			    letter.error || "no reason given"),
			h("span", { class: "muted" },
			    (letter.recipient_id ?
				`For ${letter.recipient_id} · ` : "") +
			    (letter.attempts === 1 ? "1 try, " :
				`${letter.attempts} tries, the last `) +
			    (letter.last_attempt_at ?
				fullTime(letter.last_attempt_at) :
				"unknown"))),
		    h("div", { class: "row" },
			h("button", { type: "button",
			    class: "button small primary", onclick: () =>
				this.end(el, "POST", letter, "/retry",
				    "Queued again.") }, "Retry"),
			h("button", { type: "button", class: "button small",
			    onclick: () => this.end(el, "DELETE", letter, "",
				"Dropped.") }, "Drop")));

		return el;
	}

	async end(el, method, letter, suffix, said)
	{
		this.error.textContent = "";
		try {
			await this.ask(method, "/admin/dead-letters/" +
			    encodeURIComponent(letter.id) + suffix);
			el.remove();
			toast(said, "good");
			if (!this.list.children.length)
				fill(this.list, this.empty());
		} catch (e) {
			this.error.textContent = e.message;
		}
	}
}
