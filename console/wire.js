// SPDX-License-Identifier: MIT
// The wire view: every request and frame as it happens, and beside it the
// playground.
import { block, bytes, copy, fill, h, icon, iconButton, preciseTime } from "./dom.js";
import { asCurl, clear, entries, onEntry, pretty } from "./wire_log.js";
import { Playground } from "./playground.js";

const WAYS = { in: ["↓", "from the server"], out: ["↑", "to the server"],
    event: ["·", "connection"], http: ["⇄", "request"] };

function wayOf(e)
{
	return e.kind === "http" ? "http" : e.way;
}

// Members that tell most, for the one line of a frame.
const FIRST = ["content", "code", "message", "sender_id", "user_id", "action",
    "status", "seq"];

// What one line says besides its time and size.
function summary(e)
{
	if (e.kind === "http")
		return e.path;
	if (e.way === "event")
		return e.text;
	try {
		const v = JSON.parse(e.body);
		const parts = [];
		const order = (k) => FIRST.indexOf(k) === -1 ? FIRST.length :
		    FIRST.indexOf(k);

		for (const [k, x] of Object.entries(v).sort((a, b) =>
		    order(a[0]) - order(b[0]))) {
			if (k === "type" || typeof x === "object")
				continue;
			parts.push(`${k}=${x}`);
			if (parts.join(" ").length > 160)
				break;
		}
		return parts.join(" ");
	} catch {
		return e.body;
	}
}

function statusTag(e)
{
	if (e.kind !== "http")
		return null;
	if (e.failed)
		return h("span", { class: "tag bad" }, e.failed);
	if (!e.status)
		return h("span", { class: "tag" }, "…");
	return h("span", { class: "tag " + (e.status < 400 ? "good" : "bad") },
	    String(e.status));
}

// What somebody who looks over the shoulder, or gets the JSON in a report,
// need not have; only a copied curl line has it.
const SECRET = ["authorization", "x-api-key", "x-master-key"];

function masked(headers)
{
	return Object.fromEntries(Object.entries(headers || {}).map(
	    ([k, v]) => [k, SECRET.includes(k.toLowerCase()) ?
		v.replace(/^(Bearer )?(.{0,6}).*$/s, "$1$2…") : v]));
}

function headerLines(headers)
{
	return Object.entries(masked(headers))
	    .map(([k, v]) => `${k}: ${v}`).join("\n");
}

// The whole of an entry as one JSON value.
function asJson(e)
{
	const parse = (text) => {
		try {
			return JSON.parse(text);
		} catch {
			return text || undefined;
		}
	};

	return JSON.stringify(e.kind === "http" ? {
		at: new Date(e.at).toISOString(), method: e.method,
		url: e.url, headers: masked(e.headers), body: parse(e.body),
		status: e.status, ms: e.ms, answer_headers: e.answerHeaders,
		answer: parse(e.answer || ""),
	} : { at: new Date(e.at).toISOString(), way: e.way, socket: e.socket,
	    type: e.type, frame: parse(e.body) }, null, 2);
}

class Row {
	constructor(entry)
	{
		this.entry = entry;
		this.line = h("button", { type: "button", class: "wire-line",
		    "aria-expanded": "false", onclick: () => this.toggle() });
		this.el = h("div", { class: "wire-row way-" + wayOf(entry),
		    role: "listitem" }, this.line);
		this.paint();
	}

	paint()
	{
		const e = this.entry, [sign, word] = WAYS[wayOf(e)];

		fill(this.line,
		    h("span", { class: "wire-time" }, preciseTime(e.at)),
		    h("span", { class: "wire-way", "aria-hidden": "true" },
			sign), h("span", { class: "sr" }, word),
		    h("b", { class: "wire-type" }, e.kind === "http" ?
			e.method : e.type),
		    h("span", { class: "wire-text" }, summary(e)),
		    statusTag(e),
		    h("span", { class: "wire-ms" }, e.kind === "http" &&
			e.ms !== undefined ? e.ms.toFixed(0) + " ms" : ""),
		    h("span", { class: "wire-size" }, e.size ?
			bytes(e.size) : ""));
		if (this.detail)
			this.open();
	}

	toggle()
	{
		if (this.detail) {
			this.detail.remove();
			this.detail = null;
		} else
			this.open();
		this.line.setAttribute("aria-expanded",
		    String(Boolean(this.detail)));
	}

	open()
	{
		const e = this.entry;
		const tools = h("div", { class: "row" },
		    e.kind === "http" && h("button", { type: "button",
			class: "button small", onclick: () => copy(asCurl(
			    e.method, e.url, e.headers, e.body), "curl") },
		    "Copy as curl"),
		    h("button", { type: "button", class: "button small",
			onclick: () => copy(asJson(e), "JSON") },
		    "Copy as JSON"));

		this.detail?.remove();
		this.detail = h("div", { class: "wire-detail" }, tools,
		    e.kind === "http" ? [
			block("Request", [headerLines(e.headers),
			    pretty(e.body)].filter(Boolean).join("\n\n")),
			block("Answer", e.status ? [`HTTP ${e.status}`,
			    headerLines(e.answerHeaders)].join("\n") : ""),
			block("Body", pretty(e.answer || "")),
		    ] : block(e.way === "event" ? "Connection" : "Frame",
			e.body ? pretty(e.body) : e.text || e.type));
		this.el.append(this.detail);
	}
}

class Wire {
	constructor(box)
	{
		this.rows = new Map();
		this.paused = false;
		this.shown = false;
		this.fresh = [];
		this.missedWhilePaused = 0;
		this.find = h("input", { type: "search", placeholder:
		    "Filter: message, ack, /rooms, 404 …", "aria-label":
		    "Filter", oninput: () => this.redraw() });
		this.polls = h("input", { type: "checkbox", onchange: () =>
		    this.redraw() });
		this.pauseButton = h("button", { type: "button",
		    class: "button small", "aria-pressed": "false",
		    onclick: () => this.pause() });
		this.count = h("span", { class: "muted wire-count" });
		this.list = h("div", { class: "wire-list", role: "list",
		    "aria-label": "Requests and frames", tabindex: "0" });
		this.playground = new Playground();
		this.el = h("div", { class: "wire", "data-pane": "log" },
		    this.switcher(),
		    h("section", { class: "wire-log", "aria-label":
			"What passes" },
		    h("div", { class: "pane-head wire-head" },
			h("h2", null, "What passes"), this.count,
			h("span", { class: "push" }), this.pauseButton,
			iconButton("trash", "Clear", clear)),
		    h("div", { class: "wire-filter" }, this.find,
			h("label", { class: "check" }, this.polls,
			    "metrics polls")),
		    this.list),
		    this.playground.el);
		fill(box, this.el);
		this.paintPause();
		this.redraw();
		onEntry((what, e) => this.heard(what, e));
	}

	switcher()
	{
		const choose = (pane) => {
			this.el.dataset.pane = pane;
		};
		const one = (label, pane, on) => h("label",
		    { class: "segment" },
		    h("input", { type: "radio", name: "wire-pane",
			checked: on, onchange: () => choose(pane) }),
		    h("span", null, label));

		return h("fieldset", { class: "segments wire-switch" },
		    h("legend", { class: "sr" }, "Show"),
		    one("What passes", "log", true),
		    one("Playground", "try", false));
	}

	wanted(e)
	{
		const find = this.find.value.trim().toLowerCase();

		if (e.poll && !this.polls.checked)
			return false;
		return !find || [e.type, e.method, e.path, e.status, e.body,
		    e.text, e.answer].some((x) => x !== undefined &&
			String(x).toLowerCase().includes(find));
	}

	heard(what, e)
	{
		if (what === "change") {
			this.rows.get(e.n)?.paint();
			return;
		}
		if (this.paused) {
			if (what === "add" && this.wanted(e))
				this.missedWhilePaused++;
			this.paintPause();
			return;
		}
		// What is not looked at is drawn when it is.
		if (!this.shown)
			return;
		if (what === "clear")
			this.redraw();
		else if (what === "drop") {
			this.rows.get(e.n)?.el.remove();
			this.rows.delete(e.n);
		} else if (this.wanted(e))
			this.later(e);
	}

	// Many at a time, so that a flood does not stop the page.
	later(e)
	{
		if (this.fresh.push(e) === 1)
			setTimeout(() => this.append(this.fresh.splice(0)),
			    30);
	}

	append(fresh)
	{
		const l = this.list;
		const end = l.scrollHeight - l.scrollTop - l.clientHeight < 60;
		const oldest = entries[0]?.n ?? 0;
		// The filter may be another one than when they were heard.
		const wanted = fresh.filter((e) => e.n >= oldest &&
		    !this.rows.has(e.n) && this.wanted(e));

		if (this.rows.size === 0 && wanted.length > 0)
			l.replaceChildren();
		for (const e of wanted) {
			const row = new Row(e);

			this.rows.set(e.n, row);
			l.append(row.el);
		}
		if (end)
			l.scrollTop = l.scrollHeight;
		this.paintCount();
	}

	redraw()
	{
		const open = new Set([...this.rows.values()]
		    .filter((r) => r.detail).map((r) => r.entry.n));

		this.rows.clear();
		this.list.replaceChildren();
		for (const e of entries)
			if (this.wanted(e)) {
				const row = new Row(e);

				this.rows.set(e.n, row);
				this.list.append(row.el);
				if (open.has(e.n))
					row.toggle();
			}
		if (this.rows.size === 0)
			this.list.append(this.empty());
		this.list.scrollTop = this.list.scrollHeight;
		this.paintCount();
	}

	empty()
	{
		return h("div", { class: "empty" }, entries.length ? [
		    h("h3", null, "Nothing matches"),
		    h("p", null, "Clear the filter to see everything.")] : [
		    h("h3", null, "Quiet so far"),
		    h("p", null, "Sign in under Chat, or send a request from " +
			"the playground: each request and each frame shows " +
			"up here with its time and size.")]);
	}

	pause()
	{
		this.paused = !this.paused;
		if (!this.paused) {
			this.missedWhilePaused = 0;
			this.redraw();
		}
		this.paintPause();
	}

	paintPause()
	{
		fill(this.pauseButton, icon(this.paused ? "play" : "pause"),
		    this.paused ? "Resume" + (this.missedWhilePaused ?
			` (${this.missedWhilePaused})` : "") : "Pause");
		this.pauseButton.setAttribute("aria-pressed",
		    String(this.paused));
	}

	paintCount()
	{
		this.count.textContent = `${this.rows.size} of ` +
		    `${entries.length}`;
	}
}

export function startWire(box)
{
	const wire = new Wire(box);

	return { visible(on) {
		wire.shown = on;
		if (!on)
			return;
		if (!wire.paused)
			wire.redraw();
		wire.playground.start();
	} };
}
