// SPDX-License-Identifier: MIT
// What passes between this page and the server: a ring of the last 1,000
// requests and frames, and the fetch and WebSocket that fill it.

const MOST = 1000;
// Of one body so much is kept; a longer one says how much was left out.
const BODY_MOST = 64 * 1024;

const encoder = new TextEncoder();
let number = 0;
let sockets = 0;

export const entries = [];
const listeners = new Set();

export function onEntry(f)
{
	listeners.add(f);
	return () => listeners.delete(f);
}

function tell(what, entry)
{
	for (const f of listeners)
		f(what, entry);
}

export function clear()
{
	entries.length = 0;
	tell("clear");
}

function kept(text)
{
	return text.length <= BODY_MOST ? text : text.slice(0, BODY_MOST) +
	    `\n… ${text.length - BODY_MOST} more characters`;
}

function record(entry)
{
	entry.n = ++number;
	entry.at = Date.now();
	entries.push(entry);
	const gone = entries.length > MOST ? entries.shift() : null;

	tell("add", entry);
	if (gone)
		tell("drop", gone);
	return entry;
}

export const sizeOf = (text) => encoder.encode(text).length;

// ---- requests ----

// fetch(), seen.  `poll` marks what the page asks for by the clock.
export async function observedFetch(input, init = {}, poll = false)
{
	const url = new URL(input, location.href);
	const body = typeof init.body === "string" ? init.body : "";
	const began = performance.now();
	const entry = record({ kind: "http", poll,
	    method: (init.method || "GET").toUpperCase(),
	    path: url.pathname + url.search, url: url.href,
	    headers: Object.fromEntries(new Headers(init.headers).entries()),
	    body: kept(body), size: sizeOf(body), status: 0 });

	try {
		const r = await fetch(url, init);

		entry.status = r.status;
		entry.ms = performance.now() - began;
		entry.answerHeaders = Object.fromEntries(r.headers.entries());
		// A copy of the body, when it has come.
		r.clone().text().then((text) => {
			entry.answer = kept(text);
			entry.size = sizeOf(text);
			entry.ms = performance.now() - began;
			tell("change", entry);
		}, () => {});
		tell("change", entry);
		return r;
	} catch (e) {
		entry.ms = performance.now() - began;
		entry.failed = e.name === "AbortError" ? "aborted" :
		    "no answer";
		tell("change", entry);
		throw e;
	}
}

// ---- frames ----

function typeOf(text)
{
	try {
		const v = JSON.parse(text);

		return typeof v.type === "string" ? v.type : "?";
	} catch {
		return "?";
	}
}

export class ObservedWebSocket extends WebSocket {
	constructor(url, protocols)
	{
		super(url, protocols);
		this.seen = ++sockets;
		const shown = new URL(url, location.href);

		if (shown.searchParams.has("token"))
			shown.searchParams.set("token", "…");
		this.note("event", "connect", decodeURIComponent(
		    shown.pathname + shown.search));
		this.addEventListener("open", () =>
		    this.note("event", "open", ""));
		this.addEventListener("message", (e) => {
			const text = String(e.data);

			record({ kind: "ws", way: "in", socket: this.seen,
			    type: typeOf(text), body: kept(text),
			    size: sizeOf(text) });
		});
		this.addEventListener("close", (e) => this.note("event",
		    "close", `${e.code}${e.reason ? " " + e.reason : ""}`));
	}

	note(way, type, text)
	{
		record({ kind: "ws", way, socket: this.seen, type, text,
		    body: "", size: 0 });
	}

	send(data)
	{
		const text = String(data);

		super.send(data);
		record({ kind: "ws", way: "out", socket: this.seen,
		    type: typeOf(text), body: kept(text),
		    size: sizeOf(text) });
	}
}

// ---- copies ----

const quoted = (s) => "'" + String(s).replace(/'/g, "'\\''") + "'";

export function asCurl(method, url, headers, body)
{
	const parts = ["curl -sS"];

	if (method !== "GET" || body)
		parts.push("-X " + method);
	parts.push(quoted(url));
	for (const [name, value] of Object.entries(headers || {}))
		parts.push("-H " + quoted(`${name}: ${value}`));
	if (body)
		parts.push("--data-raw " + quoted(body));
	return parts.join(" \\\n  ");
}

export function pretty(text)
{
	try {
		return JSON.stringify(JSON.parse(text), null, 2);
	} catch {
		return text;
	}
}
