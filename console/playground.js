// SPDX-License-Identifier: MIT
// A form for any request of the API, made from its description.
import { block, bytes, copy, field, fill, h } from "./dom.js";
import { headersOf, identity, onIdentity } from "./session.js";
import { master, onMaster } from "./master.js";
import { operations } from "./schema.js";
import { asCurl, observedFetch, pretty, sizeOf } from "./wire_log.js";

const NAMES = { user: "Who is signed in", backend: "The tenant’s backend",
    operator: "The operator", none: "Nobody" };

function parameterField(p)
{
	const type = p.schema?.type;
	const required = p.required || p.in === "path";
	const f = field(p.name + (required ? "" : " (optional)"),
	    h("input", { autocomplete: "off", spellcheck: "false",
		class: "mono", inputmode: type === "integer" ? "numeric" :
		    null, required: required || null,
		placeholder: p.in === "path" ? p.name : p.schema?.default ??
		    "" }),
	    p.description || `in the ${p.in}`);

	f.parameter = p;
	return f;
}

export class Playground {
	constructor()
	{
		this.op = null;
		this.fields = [];
		this.pick = h("select", { class: "mono", "aria-label":
		    "Request", onchange: () => this.choose(this.pick.value) });
		this.about = h("p", { class: "hint" });
		this.slot = h("div", { class: "try-fields" });
		this.as = h("select", { onchange: () => this.paintAs() });
		this.asField = field("Who asks", this.as);
		this.key = field("API key", h("input", { type: "password",
		    class: "mono", autocomplete: "off", placeholder: "sk_…" }),
		"Of the tenant whose backend asks; kept in this page only.");
		this.error = h("p", { class: "form-error", role: "alert" });
		this.answer = h("div", { class: "answer", "aria-live":
		    "polite" });
		this.go = h("button", { class: "button primary",
		    type: "submit" }, "Send");
		this.el = h("section", { class: "try", "aria-label":
		    "Playground" },
		h("div", { class: "pane-head" }, h("h2", null, "Playground"),
		    h("span", { class: "push" }),
		    h("a", { href: "/openapi.json", target: "_blank",
			rel: "noopener", class: "quiet-link" },
		    "openapi.json")),
		h("form", { class: "try-form", novalidate: true,
		    onsubmit: (e) => {
			e.preventDefault();
			this.send();
		    } },
		h("div", { class: "field" }, this.pick, this.about),
		this.slot, this.asField, this.key, this.error,
		h("div", { class: "row" }, this.go,
		    h("button", { type: "button", class: "button",
			onclick: () => this.curl() }, "Copy as curl"))),
		this.answer);
		this.key.hidden = true;
		onIdentity(() => this.paintAs());
		onMaster(() => this.paintAs());
	}

	// Once, when the view is looked at first.
	async start()
	{
		if (this.op)
			return;
		try {
			this.all = await operations();
		} catch (e) {
			this.error.textContent = e.message;
			return;
		}
		const groups = new Map();

		for (const op of this.all) {
			if (op.path === "/ws" ||
			    op.path.startsWith("/console"))
				continue;
			if (!groups.has(op.tag))
				groups.set(op.tag, []);
			groups.get(op.tag).push(op);
		}
		fill(this.pick, [...groups].map(([tag, ops]) =>
		    h("optgroup", { label: tag }, ops.map((op) =>
			h("option", { value: op.id },
			    `${op.method} ${op.path}`)))));
		this.choose(identity ? "listRooms" : this.pick.value);
	}

	choose(id)
	{
		const op = this.all.find((o) => o.id === id) ||
		    this.all.find((o) => o.id === this.pick.value);

		this.op = op;
		this.pick.value = op.id;
		this.about.textContent = [op.summary, op.description]
		    .filter(Boolean).join(". ");
		this.fields = op.parameters.filter((p) => p.in !== "header" ||
		    p.name === "Idempotency-Key").map(parameterField);
		this.body = op.body !== null ? field("Body", h("textarea",
		    { class: "mono", rows: String(Math.min(14,
			op.body.split("\n").length + 1)),
		    spellcheck: "false", value: op.body })) : null;
		fill(this.slot, this.fields, this.body);
		this.error.textContent = "";
		this.paintAs(true);
	}

	paintAs(anew)
	{
		const { op } = this;

		if (!op)
			return;
		const can = op.operator ? ["operator", "none"] :
		    op.open ? ["none", "user"] : ["user", "backend", "none"];
		const was = anew ? can[0] : this.as.value;

		fill(this.as, can.map((k) => h("option", { value: k },
		    k === "user" ? (identity ? `${identity.user}, who is ` +
			"signed in" : "Nobody is signed in") :
			k === "operator" && !master() ?
			    "The operator (unlock that view first)" :
			    NAMES[k])));
		this.as.value = can.includes(was) ? was : can[0];
		this.key.hidden = this.as.value !== "backend";
		if (identity?.kind === "key" && !this.key.input.value)
			this.key.input.value = identity.key;
	}

	identityHeaders()
	{
		switch (this.as.value) {
		case "user":
			return headersOf(identity);
		case "operator":
			return master() ? { "X-Master-Key": master() } : {};
		case "backend":
			return { "X-API-Key": this.key.input.value.trim() };
		default:
			return {};
		}
	}

	// The request as the form has it; null when a field is missing.
	request()
	{
		const headers = this.identityHeaders();
		const query = new URLSearchParams();
		let path = this.op.path, first = null;

		for (const f of this.fields) {
			const p = f.parameter, value = f.input.value.trim();

			if (!value && p.in === "path") {
				f.error("Needed for the path.");
				first ??= f;
			} else if (p.in === "path")
				path = path.replace(`{${p.name}}`,
				    encodeURIComponent(value));
			else if (value && p.in === "query")
				query.set(p.name, value);
			else if (value)
				headers[p.name] = value;
		}
		first?.input.focus();
		if (first)
			return null;
		const init = { method: this.op.method, headers,
		    cache: "no-store" };

		if (this.body) {
			headers["Content-Type"] = "application/json";
			init.body = this.body.input.value;
		}
		const text = String(query);

		return { url: location.origin + path +
		    (text ? "?" + text : ""), init };
	}

	curl()
	{
		const r = this.request();

		if (r)
			copy(asCurl(r.init.method, r.url, r.init.headers,
			    r.init.body), "curl");
	}

	async send()
	{
		const r = this.request();

		this.error.textContent = "";
		if (!r)
			return;
		const began = performance.now();

		this.go.disabled = true;
		try {
			const answer = await observedFetch(r.url, r.init);
			const text = await answer.text();

			this.paintAnswer(answer, text,
			    performance.now() - began);
		} catch {
			this.error.textContent =
			    "The server did not answer.";
		}
		this.go.disabled = false;
	}

	paintAnswer(answer, text, ms)
	{
		const headers = [...answer.headers.entries()]
		    .map(([k, v]) => `${k}: ${v}`).join("\n");

		fill(this.answer,
		    h("div", { class: "answer-head" },
			h("span", { class: "tag " + (answer.ok ? "good" :
			    "bad") }, String(answer.status)),
			h("span", { class: "muted" }, `${ms.toFixed(0)} ms · ` +
			    bytes(sizeOf(text))),
			h("span", { class: "push" }),
			h("button", { type: "button", class: "button small",
			    onclick: () => copy(pretty(text), "Body") },
			"Copy body")),
		    block("Body", pretty(text)) ||
			h("p", { class: "hint" }, "No body."),
		    block("Headers", headers));
		this.answer.scrollIntoView({ block: "nearest" });
	}
}
