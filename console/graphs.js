// SPDX-License-Identifier: MIT
// What the server does, from /metrics every 2 s: lines drawn as SVG paths.
import { fill, h } from "./dom.js";
import { call } from "./session.js";

const EVERY_MS = 2000;
const POINTS = 90; // three minutes
// So many workers have a line each.
const LINES = 4;
const W = 300, H = 72;
const SVG = "http://www.w3.org/2000/svg";

function svg(tag, attributes)
{
	const e = document.createElementNS(SVG, tag);

	for (const [k, v] of Object.entries(attributes))
		e.setAttribute(k, v);
	return e;
}

// A round number at or above v: where the axis ends.
function ceiling(v)
{
	const p = 10 ** Math.floor(Math.log10(Math.max(v, 1e-6)));

	return [1, 1.5, 2, 3, 5, 7.5, 10].map((k) => k * p).find((x) => x >= v) || 1;
}

const short = (v) => v >= 1e6 ? (v / 1e6).toFixed(1) + "M" :
    v >= 1e4 ? (v / 1e3).toFixed(0) + "k" :
	v >= 1e3 ? (v / 1e3).toFixed(1) + "k" :
	    v >= 100 || Number.isInteger(v) ? v.toFixed(0) :
		v >= 10 ? v.toFixed(1) : v.toFixed(2);

class Graph {
	constructor(title, unit, lines, least)
	{
		this.title = title;
		this.unit = unit;
		this.least = least;
		this.lines = lines.map((name) => ({ name, values: [] }));
		this.now = h("span", { class: "graph-now" }, "–");
		this.top = h("span", { class: "graph-top" });
		this.legend = h("span", { class: "graph-legend" });
		this.svg = svg("svg", { viewBox: `0 0 ${W} ${H}`,
		    preserveAspectRatio: "none", role: "img",
		    "aria-label": title });
		for (const y of [0.5, H / 2, H - 0.5])
			this.svg.append(svg("path", { class: "graph-grid",
			    d: `M0 ${y}H${W}` }));
		this.area = svg("path", { class: "graph-area" });
		this.svg.append(this.area);
		for (const [i, line] of this.lines.entries()) {
			line.path = svg("path", { class:
			    "graph-line line-" + i });
			this.svg.append(line.path);
		}
		this.el = h("figure", { class: "graph" },
		    h("figcaption", null, h("span", null, title), this.now),
		    h("div", { class: "graph-box" }, this.svg, this.top),
		    this.legend);
	}

	// One value a line; null: nothing is known.
	push(values)
	{
		for (const [i, line] of this.lines.entries()) {
			line.values.push(values[i] ?? null);
			if (line.values.length > POINTS)
				line.values.shift();
		}
		this.draw();
	}

	// Another number of lines: one a worker.
	setLines(names)
	{
		if (names.join() === this.lines.map((l) => l.name).join())
			return;
		for (const line of this.lines)
			line.path.remove();
		this.lines = names.map((name, i) => ({ name,
		    values: [], path: svg("path", { class:
			"graph-line line-" + i % 4 }) }));
		this.svg.append(...this.lines.map((l) => l.path));
	}

	draw()
	{
		const known = this.lines.flatMap((l) => l.values)
		    .filter((v) => v !== null);
		const top = ceiling(Math.max(this.least, ...known));
		const last = this.lines.map((l) => l.values.at(-1));

		for (const line of this.lines)
			line.path.setAttribute("d", this.path(line, top));
		const first = this.lines[0]?.path.getAttribute("d") || "";

		this.area.setAttribute("d", this.lines.length > 1 || !first ?
		    "" : `${first}V${H}H${this.start(this.lines[0])}Z`);
		this.top.textContent = `${short(top)} ${this.unit}`;
		this.now.textContent = last[0] === null ||
		    last[0] === undefined ? "–" : this.said(last);
		this.svg.setAttribute("aria-label", `${this.title}: ` +
		    this.now.textContent);
		fill(this.legend, this.lines.length < 2 ? null :
		    this.lines.map((l, i) => h("span", { class: "key-line " +
			"line-" + i % 4 }, l.name)));
	}

	said(last)
	{
		return last.map((v) => v === null ? "–" : short(v))
		    .join(" / ") + " " + this.unit;
	}

	start(line)
	{
		const i = line.values.findIndex((v) => v !== null);

		return this.x(i + POINTS - line.values.length);
	}

	x(i)
	{
		return (i * W / (POINTS - 1)).toFixed(1);
	}

	path(line, top)
	{
		const from = POINTS - line.values.length;
		let d = "", on = false;

		for (const [i, v] of line.values.entries()) {
			if (v === null) {
				on = false;
				continue;
			}
			d += (on ? "L" : "M") + this.x(from + i) + " " +
			    (H - 2 - v / top * (H - 6)).toFixed(1);
			on = true;
		}
		return d;
	}
}

// The value below which a part of what came between two histograms lies.
function quantile(now, before, part)
{
	const total = now.count - before.count;
	let under = 0, from = 0;

	if (total <= 0)
		return null;
	for (const [le, n] of Object.entries(now.buckets)) {
		const upto = n - (before.buckets[le] || 0);

		if (upto >= total * part) {
			const to = le === "+Inf" ? from : Number(le);

			return from + (to - from) * (total * part - under) /
			    (upto - under || 1);
		}
		under = upto;
		from = le === "+Inf" ? from : Number(le);
	}
	return null;
}

export class Graphs {
	constructor()
	{
		this.messages = new Graph("Messages", "/s",
		    ["stored", "delivered"], 5);
		this.commit = new Graph("Commit latency", "ms",
		    ["median", "99 %"], 2);
		this.connections = new Graph("Connections", "", ["open"], 5);
		this.queue = new Graph("Waiting for the writer", "",
		    ["worker 0"], 5);
		this.note = h("span", { class: "muted graphs-note", role:
		    "status" });
		this.el = h("section", { class: "graphs", "aria-label":
		    "What the server does" },
		h("div", { class: "graph-row" }, this.messages.el,
		    this.commit.el, this.connections.el, this.queue.el),
		this.note);
	}

	run(on)
	{
		clearInterval(this.timer);
		this.timer = null;
		if (!on)
			return;
		this.timer = setInterval(() => this.look(), EVERY_MS);
		this.look();
	}

	async look()
	{
		let m;

		if (document.hidden)
			return;
		try {
			m = await call("GET", "/metrics", { poll: true,
			    headers: { Accept: "application/json" } });
		} catch {
			this.note.textContent = "The server does not answer.";
			this.before = null;
			return;
		}
		this.take(m, performance.now());
	}

	take(m, at)
	{
		const b = this.before;
		const s = b ? (at - b.at) / 1000 : 0;
		const rate = (name) => b && m.uptime_seconds >=
		    b.m.uptime_seconds && s > 0 ?
		    Math.max(0, (m[name] - b.m[name]) / s) : null;
		const ms = (part) => {
			const v = b ? quantile(m.commit_duration_seconds,
			    b.m.commit_duration_seconds, part) : null;

			return v === null ? null : v * 1000;
		};

		this.before = { m, at };
		this.messages.push([rate("messages_sent"),
		    rate("delivery_attempts")]);
		this.commit.push([ms(0.5), ms(0.99)]);
		this.connections.push([m.active_connections]);
		this.takeQueues(m.workers);
		fill(this.note, `Version ${m.version} · up ` +
		    `${this.duration(m.uptime_seconds)} · ` +
		    `${m.workers.filter((w) => w.up).length} workers · ` +
		    `users online: ${m.users_online} · database ` +
		    (m.db_writable ? "writable" : "NOT writable"));
	}

	takeQueues(workers)
	{
		const depths = workers.map((w) => w.operations_pending);

		if (workers.length <= LINES) {
			this.queue.setLines(workers.map((w) =>
			    "worker " + w.slot));
			this.queue.push(depths);
		} else {
			this.queue.setLines(["the most of one", "all"]);
			this.queue.push([Math.max(...depths),
			    depths.reduce((a, b) => a + b, 0)]);
		}
	}

	duration(s)
	{
		if (s < 120)
			return s.toFixed(0) + " s";
		if (s < 7200)
			return (s / 60).toFixed(0) + " min";
		return s < 172800 ? (s / 3600).toFixed(0) + " h" :
		    (s / 86400).toFixed(0) + " days";
	}
}
