// SPDX-License-Identifier: MIT
// The operator's view: graphs for everybody, tenants with the master key.
import { dialog, field, fill, h, icon, iconButton, copy, toast, fullTime }
    from "./dom.js";
import { call } from "./session.js";
import { master, onMaster, setMaster } from "./master.js";
import { Graphs } from "./graphs.js";
import { TenantView } from "./operator_tenant.js";

export const admin = (method, path, body) => call(method, path,
    { body, headers: { "X-Master-Key": master() } });

// Keys that were made in this page, by tenant, to be used in it.
export const made = new Map();

// A key is shown this once.
export function showKey(title, key, more)
{
	const input = h("input", { class: "mono", readonly: true, value: key,
	    "aria-label": "API key", onfocus: () => input.select() });

	dialog(title, [
	    h("p", null, "Copy it now: the server keeps only a hash, so it " +
		"is shown this once."),
	    h("div", { class: "row key-row" }, input,
		h("button", { type: "button", class: "button primary",
		    onclick: () => copy(key, "Key") }, icon("copy"),
		"Copy")), more]);
	input.focus();
}

class Operator {
	constructor(box)
	{
		this.tenants = [];
		this.current = null;
		this.graphs = new Graphs();
		this.side = h("section", { class: "tenants",
		    "aria-label": "Tenants" });
		this.detail = h("section", { class: "tenant-detail",
		    "aria-label": "Tenant" });
		this.view = new TenantView((t) => this.changed(t),
		    (t) => this.gone(t), () => this.select(null));
		this.el = h("div", { class: "operator" }, this.graphs.el,
		    h("div", { class: "admin", "data-pane": "list" },
			this.side, this.detail));
		fill(box, this.el);
		onMaster(() => this.draw());
		this.draw();
	}

	// ---- the key ----

	draw()
	{
		if (master())
			this.drawTenants();
		else
			this.drawLock();
	}

	drawLock()
	{
		const key = field("Master key", h("input", { type: "password",
		    class: "mono", autocomplete: "off" }),
		"MASTER_API_KEY of the server. Kept in memory until you " +
		    "reload this page.");
		const go = h("button", { class: "button primary",
		    type: "submit" }, "Unlock");

		this.current = null;
		fill(this.detail);
		this.el.querySelector(".admin").dataset.pane = "lock";
		fill(this.side, h("form", { class: "card lock",
		    novalidate: true, onsubmit: async (e) => {
			e.preventDefault();
			await this.unlock(key, go);
		    } },
		h("h2", null, "Tenants and keys"),
		h("p", { class: "lead" }, "Make tenants, change their " +
		    "limits, rotate their keys, look at what could not be " +
		    "delivered."), key, h("div", { class: "row" }, go)));
	}

	async unlock(key, go)
	{
		const value = key.input.value.trim();

		if (!value) {
			key.error("Enter the key.");
			key.input.focus();
			return;
		}
		go.disabled = true;
		try {
			await call("GET", "/admin/tenants?limit=1",
			    { headers: { "X-Master-Key": value } });
			setMaster(value);
		} catch (e) {
			key.error(e.message);
			key.input.focus();
		}
		go.disabled = false;
	}

	// ---- the list ----

	async drawTenants()
	{
		this.list = h("div", { class: "tenant-list", role: "list",
		    "aria-label": "Tenants" });
		this.more = h("button", { type: "button", class: "button wide",
		    hidden: true }, "More");
		this.error = h("p", { class: "form-error", role: "alert" });
		this.find = h("input", { type: "search", placeholder:
		    "Find a tenant", "aria-label": "Find a tenant",
		    oninput: () => this.drawList() });
		this.el.querySelector(".admin").dataset.pane = "list";
		fill(this.side, h("div", { class: "pane-head" },
		    h("h2", null, "Tenants"), h("span", { class: "push" }),
		    iconButton("retry", "Load again", () => this.load()),
		    iconButton("key", "Forget the master key", () =>
			setMaster(null)),
		    iconButton("plus", "New tenant", () => this.create())),
		h("div", { class: "tenant-find" }, this.find), this.error,
		this.list, this.more);
		this.select(null);
		await this.load();
	}

	async load(cursor)
	{
		try {
			const page = await admin("GET", "/admin/tenants?" +
			    new URLSearchParams(cursor ? { cursor } : {}));

			if (!cursor)
				this.tenants = [];
			this.tenants.push(...page.tenants);
			this.more.hidden = !page.next_cursor;
			this.more.onclick = () => this.load(page.next_cursor);
			this.error.textContent = "";
			this.drawList();
		} catch (e) {
			this.error.textContent = e.message;
		}
	}

	drawList()
	{
		const find = this.find.value.trim().toLowerCase();
		const all = this.tenants.filter((t) => !find ||
		    t.name.toLowerCase().includes(find) ||
		    t.tenant_id.includes(find));

		fill(this.list, all.map((t) => this.row(t)),
		    all.length === 0 && h("div", { class: "empty" }, find ?
			h("p", null, "No tenant is called that.") : [
			h("h3", null, "No tenants yet"),
			h("p", null, "A tenant is one product with its own " +
			    "users and rooms. Make the first one."),
			h("div", { class: "row" }, h("button",
			    { type: "button", class: "button primary",
			    onclick: () => this.create() }, "New tenant"))]));
	}

	row(t)
	{
		const on = this.current?.tenant_id === t.tenant_id;

		return h("div", { role: "listitem" }, h("button",
		    { type: "button", class: "tenant" + (on ? " current" : ""),
		    "aria-current": on ? "true" : null,
		    onclick: () => this.select(t) },
		h("span", { class: "tenant-name" }, t.name),
		t.disabled && h("span", { class: "tag bad" }, "disabled"),
		h("span", { class: "muted" }, fullTime(t.created_at))));
	}

	select(t)
	{
		this.current = t;
		this.el.querySelector(".admin").dataset.pane =
		    t ? "detail" : "list";
		if (this.list)
			this.drawList();
		if (t)
			this.view.show(this.detail, t);
		else
			fill(this.detail, h("div", { class: "empty pick-one" },
			    h("h3", null, "Pick a tenant"),
			    h("p", null, "to see its settings, keys and " +
				"dead letters.")));
	}

	changed(t)
	{
		this.tenants = this.tenants.map((o) =>
		    o.tenant_id === t.tenant_id ? t : o);
		this.current = t;
		this.drawList();
	}

	gone(t)
	{
		this.tenants = this.tenants.filter((o) =>
		    o.tenant_id !== t.tenant_id);
		this.select(null);
	}

	create()
	{
		const name = field("Name", h("input", { autocomplete: "off",
		    placeholder: "acme" }));

		dialog("New tenant", name, "Create", async () => {
			if (!name.input.value.trim()) {
				name.error("Give it a name.");
				throw new Error("");
			}
			const { tenant_id: id, api_key: key } = await admin(
			    "POST", "/admin/tenants",
			    { name: name.input.value.trim() });
			const t = await admin("GET", `/admin/tenants/${id}`);

			made.set(id, key);
			this.tenants.push(t);
			this.select(t);
			setTimeout(() => showKey(`Key of ${t.name}`,
			    key, h("p", { class: "hint" },
			    "Sign in with it under Chat, as any user id.")));
			toast("Tenant made.", "good");
		});
		name.input.focus();
	}
}

export function startOperator(box)
{
	const o = new Operator(box);

	return { visible(on) {
		o.graphs.run(on);
	} };
}
