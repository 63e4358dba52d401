// SPDX-License-Identifier: MIT
// The console: its three views, who is signed in, light and dark.
import { fill, h, icon, iconButton, toast } from "./dom.js";
import { identity, onIdentity, restore, signOut } from "./session.js";
import { startChat } from "./chat.js";
import { startWire } from "./wire.js";
import { startOperator } from "./operator.js";

const tabs = [...document.querySelectorAll("[role=tab]")];
const views = { chat: startChat, wire: startWire, operator: startOperator };
const shown = {};

// ---- views ----

function show(name, focus)
{
	for (const tab of tabs) {
		const on = tab.id === "tab-" + name;
		const view = document.getElementById(
		    tab.getAttribute("aria-controls"));

		tab.setAttribute("aria-selected", String(on));
		tab.tabIndex = on ? 0 : -1;
		view.hidden = !on;
		if (on && focus)
			tab.focus();
	}
	for (const [other, view] of Object.entries(shown))
		view.visible?.(other === name);
	history.replaceState(null, "", "#" + name);
}

function startTabs()
{
	for (const tab of tabs) {
		const name = tab.id.slice(4);

		tab.prepend(icon(tab.dataset.icon));
		tab.addEventListener("click", () => show(name));
	}
	document.querySelector(".tabs").addEventListener("keydown", (e) => {
		const at = tabs.indexOf(document.activeElement);
		const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0,
		    End: tabs.length - 1 }[e.key];

		if (at === -1 || to === undefined)
			return;
		e.preventDefault();
		show(tabs[(to + tabs.length) % tabs.length].id.slice(4), true);
	});
	addEventListener("hashchange", () => {
		if (location.hash.startsWith("#token="))
			enter();
		else if (views[location.hash.slice(1)])
			show(location.hash.slice(1));
	});
}

// ---- light and dark ----

const dark = matchMedia("(prefers-color-scheme: dark)");

function isDark()
{
	const chosen = localStorage.getItem("chatapi.theme");

	return chosen ? chosen === "dark" : dark.matches;
}

function paint()
{
	const on = isDark(), b = document.getElementById("theme");
	const label = on ? "Use light colours" : "Use dark colours";

	document.documentElement.dataset.theme = on ? "dark" : "light";
	fill(b, icon(on ? "sun" : "moon"));
	b.setAttribute("aria-label", label);
	b.title = label;
}

function startTheme()
{
	document.getElementById("theme").addEventListener("click", () => {
		localStorage.setItem("chatapi.theme",
		    isDark() ? "light" : "dark");
		paint();
	});
	dark.addEventListener("change", paint);
	paint();
}

// ---- who ----

function paintWho()
{
	const box = document.getElementById("who");

	if (identity === null) {
		fill(box);
		return;
	}
	fill(box, h("span", { class: "who-name", title: identity.kind ===
	    "token" ? "signed in by token" : "signed in by API key" },
	    identity.user),
	    iconButton("out", "Sign out", signOut));
}

function enter()
{
	try {
		restore();
	} catch (e) {
		toast(e.message, "bad");
	}
}

startTheme();
startTabs();
onIdentity(paintWho);
const wanted = location.hash.slice(1);

enter();
for (const [name, start] of Object.entries(views))
	shown[name] = start(document.getElementById("view-" + name)) || {};
show(views[wanted] ? wanted : "chat");
