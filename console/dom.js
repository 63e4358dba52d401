// SPDX-License-Identifier: MIT
// Small tools for the page: making elements, icons, times, dialogs.  Text of
// others only ever becomes text nodes.

const SVG = "http://www.w3.org/2000/svg";

// Strokes on a grid of 16.
const ICONS = {
	chat: "M2.5 3.5h11v7H8l-3 2.8v-2.8H2.5z",
	wire: "M1.5 8h3l2-5 3 10 2-5h3",
	operator: "M2 4.5h7M12 4.5h2M2 11.5h2M7 11.5h7M10.5 3v3M5.5 10v3",
	sun: "M8 5.2a2.8 2.8 0 1 1 0 5.6 2.8 2.8 0 0 1 0-5.6M8 1.3v1.4" +
	    "M8 13.3v1.4M1.3 8h1.4M13.3 8h1.4M3.3 3.3l1 1M11.7 11.7l1 1" +
	    "M12.7 3.3l-1 1M4.3 11.7l-1 1",
	moon: "M13.2 9.6A5.7 5.7 0 0 1 6.4 2.8 5.7 5.7 0 1 0 13.2 9.6z",
	plus: "M8 3v10M3 8h10",
	search: "M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9M10.4 10.4l3.1 3.1",
	hash: "M6.2 2.5l-1.4 11M11.2 2.5l-1.4 11M2.5 5.8h11.2M2.2 10.2h11.2",
	group: "M6 3a2.3 2.3 0 1 1 0 4.6A2.3 2.3 0 0 1 6 3M1.8 13c.3-2.6 " +
	    "2-3.8 4.2-3.8s3.9 1.2 4.2 3.8M10.5 3.3a2.2 2.2 0 0 1 0 4.2" +
	    "M12 9.6c1.3.5 2.1 1.6 2.3 3.4",
	user: "M8 2.5a2.8 2.8 0 1 1 0 5.6 2.8 2.8 0 0 1 0-5.6M2.8 13.5c.4-3 " +
	    "2.5-4.2 5.2-4.2s4.8 1.2 5.2 4.2",
	send: "M2.5 8L13.5 3l-3.2 10.2-2.6-3.9zM7.7 9.3L13.5 3",
	back: "M9.8 3.2L5 8l4.8 4.8",
	close: "M3.8 3.8l8.4 8.4M12.2 3.8l-8.4 8.4",
	edit: "M10.6 2.8l2.6 2.6-7.4 7.4-3.2.6.6-3.2zM9.2 4.2l2.6 2.6",
	trash: "M3 4.5h10M6.2 4.5V2.8h3.6v1.7M4.3 4.5l.6 8.7h6.2l.6-8.7" +
	    "M6.8 7v3.8M9.2 7v3.8",
	copy: "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
	pause: "M5.5 3.5v9M10.5 3.5v9",
	play: "M4.8 3l8 5-8 5z",
	key: "M5.2 7.2a3 3 0 1 1 0 6 3 3 0 0 1 0-6M7.4 8l5.4-5.4M10.4 5l2 2",
	out: "M6.5 3h-4v10h4M10 5l3 3-3 3M13 8H6",
	chevron: "M6 3.5L10.5 8 6 12.5",
	check: "M3 8.5l3.4 3.4L13 4.8",
	retry: "M13 8a5 5 0 1 1-1.6-3.7M13 2v3h-3",
	clock: "M8 2.2a5.8 5.8 0 1 1 0 11.6A5.8 5.8 0 0 1 8 2.2M8 5v3.3l2 1.4",
	down: "M8 3v9.5M4 8.8l4 4 4-4",
};

export function icon(name)
{
	const svg = document.createElementNS(SVG, "svg");
	const path = document.createElementNS(SVG, "path");

	svg.setAttribute("viewBox", "0 0 16 16");
	svg.setAttribute("class", "icon");
	svg.setAttribute("aria-hidden", "true");
	path.setAttribute("d", ICONS[name]);
	svg.append(path);
	return svg;
}

// h("button", { class: "x", onclick: f }, "text", child, …): null children
// are left out.
export function h(tag, props, ...children)
{
	const e = document.createElement(tag);

	for (const [name, value] of Object.entries(props || {})) {
		if (value === null || value === undefined || value === false)
			continue;
		if (name.startsWith("on"))
			e.addEventListener(name.slice(2), value);
		else if (name === "value" || name === "checked")
			e[name] = value;
		else
			e.setAttribute(name, value === true ? "" : value);
	}
	add(e, children);
	return e;
}

export function add(parent, children)
{
	for (const c of children.flat())
		if (c !== null && c !== undefined && c !== false)
			parent.append(c);
}

export function fill(parent, ...children)
{
	parent.replaceChildren();
	add(parent, children);
	return parent;
}

export function iconButton(name, label, onclick, more)
{
	return h("button", { type: "button", class: "icon-button",
	    "aria-label": label, title: label, onclick, ...more }, icon(name));
}

// A labelled field; `hint` stands below it, an error takes its place.
let fields = 0;
export function field(label, input, hint)
{
	const id = "field-" + ++fields;
	const note = h("p", { class: "hint", id: id + "-hint" }, hint || "");
	const row = h("div", { class: "field" },
	    h("label", { for: id }, label), input, note);

	input.id = id;
	input.setAttribute("aria-describedby", note.id);
	row.input = input;
	row.error = (text) => {
		row.classList.toggle("bad", Boolean(text));
		input.setAttribute("aria-invalid", text ? "true" : "false");
		note.textContent = text || hint || "";
	};
	input.addEventListener("input", () => row.error(""));
	return row;
}

// ---- times ----

const clock = new Intl.DateTimeFormat(undefined,
    { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined,
    { weekday: "long", day: "numeric", month: "long" });
const full = new Intl.DateTimeFormat(undefined,
    { dateStyle: "medium", timeStyle: "medium" });

export const timeOf = (t) => clock.format(new Date(t));
export const fullTime = (t) => full.format(new Date(t));

export function dayOf(t)
{
	const d = new Date(t), now = new Date();
	const before = new Date(now.getTime() - 24 * 3600 * 1000);

	if (d.toDateString() === now.toDateString())
		return "Today";
	if (d.toDateString() === before.toDateString())
		return "Yesterday";
	return day.format(d);
}

export function shortTime(t)
{
	const d = new Date(t);

	return d.toDateString() === new Date().toDateString() ?
	    clock.format(d) : d.toLocaleDateString(undefined,
		{ day: "numeric", month: "short" });
}

export function preciseTime(t)
{
	const d = new Date(t), p = (n, w) => String(n).padStart(w, "0");

	return `${p(d.getHours(), 2)}:${p(d.getMinutes(), 2)}:` +
	    `${p(d.getSeconds(), 2)}.${p(d.getMilliseconds(), 3)}`;
}

export function bytes(n)
{
	if (n < 1000)
		return n + " B";
	if (n < 1000000)
		return (n / 1024).toFixed(1) + " KiB";
	return (n / 1048576).toFixed(1) + " MiB";
}

// ---- what is said, what is asked ----

export function toast(text, kind)
{
	const box = document.getElementById("toasts");
	const t = h("div", { class: "toast " + (kind || "") }, text);

	while (box.children.length > 3)
		box.firstChild.remove();
	box.append(t);
	setTimeout(() => t.remove(), kind === "bad" ? 8000 : 3500);
}

export async function copy(text, what)
{
	try {
		await navigator.clipboard.writeText(text);
	} catch {
		// Pages of plain http from another machine have no clipboard.
		const area = h("textarea", { class: "off-screen",
		    readonly: true, value: text });

		document.body.append(area);
		area.select();
		document.execCommand("copy");
		area.remove();
	}
	toast(`${what || "Text"} copied`);
}

export function copyButton(text, label)
{
	return iconButton("copy", label, () => copy(
	    typeof text === "function" ? text() : text,
	    label.replace(/^Copy (the )?/, "").replace(/^./, (c) =>
		c.toUpperCase())));
}

// A modal dialog of the browser's own: it keeps the focus inside and gives
// it back.  `submit` may be async and throws to keep it open.
export function dialog(title, body, action, submit, danger)
{
	const error = h("p", { class: "form-error", role: "alert" });
	const go = action && h("button", { class: danger ?
	    "button danger" : "button primary", type: "submit" }, action);
	const d = h("dialog", { class: "dialog", "aria-label": title },
	    h("form", { onsubmit: async (e) => {
		e.preventDefault();
		if (go)
			go.disabled = true;
		error.textContent = "";
		try {
			await submit();
			d.close();
		} catch (err) {
			error.textContent = err.message;
			go.disabled = false;
		}
	    } },
	    h("header", null, h("h2", null, title),
		iconButton("close", "Close", () => d.close())),
	    h("div", { class: "dialog-body" }, body, error),
	    h("footer", null,
		h("button", { type: "button", class: "button",
		    onclick: () => d.close() }, action ? "Cancel" : "Close"),
		go)));

	d.addEventListener("close", () => d.remove());
	d.addEventListener("click", (e) => e.target === d && d.close());
	document.body.append(d);
	d.showModal();
	d.go = go;
	return d;
}

// A titled piece of text that may be scrolled; null when there is none.
export function block(title, text)
{
	return text ? h("div", { class: "block" },
	    h("h4", null, title),
	    h("pre", { tabindex: "0", "aria-label": title }, text)) : null;
}

// ---- keyboards ----

// One stop for Tab, arrows within: for lists of things to choose from.
export function arrows(list, selector)
{
	list.addEventListener("keydown", (e) => {
		const all = [...list.querySelectorAll(selector)];
		const at = all.indexOf(document.activeElement);
		const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0,
		    End: all.length - 1, ArrowRight: at + 1,
		    ArrowLeft: at - 1 }[e.key];

		if (at === -1 || to === undefined || all.length === 0)
			return;
		e.preventDefault();
		all[(to + all.length) % all.length].focus();
	});
}
