// SPDX-License-Identifier: MIT
// One tenant: settings, keys, dead letters, and its end.
import { copyButton, dialog, field, fill, h, iconButton, fullTime, toast }
    from "./dom.js";
import { admin, made, showKey } from "./operator.js";
import { DeadLetters } from "./dead_letters.js";

// Members of PATCH: how a field is read; undefined leaves it as it is.
const number = (text) => {
	if (text === "")
		return null;
	if (!/^\d+$/.test(text))
		throw new Error("A whole number, or nothing.");
	return Number(text);
};
const SETTINGS = [
	["name", "Name", "text", (s) => s],
	["rate_limit", "Requests a second", "numeric", number,
	    "Empty: the server’s default. 0: no limit."],
	["retention_days", "Days to keep messages", "numeric", number,
	    "Empty: for ever."],
	["webhook_url", "Webhook address", "url", (s) => s || null,
	    "Where messages for absent users go."],
	["jwt_secret", "JWT secret (HS256)", "secret", (s) => s || undefined,
	    "32 bytes or more; never read back."],
	["jwt_public_key", "JWT public key (EdDSA)", "text", (s) => s || null,
	    "PEM or base64url; takes the place of a secret."],
];

export class TenantView {
	constructor(changed, gone, back)
	{
		this.changed = changed;
		this.gone = gone;
		this.back = back;
	}

	show(box, t)
	{
		this.box = box;
		this.tenant = t;
		this.draw();
		this.loadKeys();
	}

	draw()
	{
		const t = this.tenant;

		this.keys = h("div", { class: "keys" });
		fill(this.box,
		    h("div", { class: "pane-head" },
			iconButton("back", "Back to the tenants", this.back,
			    { class: "icon-button back" }),
			h("div", { class: "room-titles" },
			    h("h2", { class: "room-title" }, t.name),
			    h("div", { class: "room-sub" },
				h("code", null, t.tenant_id),
				copyButton(t.tenant_id, "Copy tenant id"))),
			h("span", { class: "push" }),
			t.disabled && h("span", { class: "tag bad" },
			    "disabled")),
		    h("div", { class: "tenant-body" },
			this.settings(), this.keysCard(),
			new DeadLetters(made.get(t.tenant_id)).el, this.end()));
	}

	// ---- settings ----

	settings()
	{
		const t = this.tenant;
		const fields = SETTINGS.map(([name, label, kind, , hint]) => {
			const f = field(label, h("input", {
			    type: kind === "secret" ? "password" : "text",
			    inputmode: kind === "numeric" ? "numeric" : null,
			    autocomplete: "off", spellcheck: "false",
			    placeholder: kind === "secret" &&
				t.jwt_alg === "HS256" ? "is set" : "",
			    value: kind === "secret" ? "" : t[name] ?? "" }),
			hint);

			f.name = name;
			return f;
		});
		const error = h("p", { class: "form-error", role: "alert" });

		return h("form", { class: "card section", novalidate: true,
		    onsubmit: async (e) => {
			e.preventDefault();
			error.textContent = "";
			await this.save(fields, error);
		    } },
		h("h3", null, "Settings"),
		h("div", { class: "grid-2" }, fields), error,
		h("div", { class: "row" }, h("button",
		    { class: "button primary", type: "submit" }, "Save")));
	}

	async save(fields, error)
	{
		const t = this.tenant, change = {};

		for (const [i, [name, , kind, read]] of SETTINGS.entries()) {
			try {
				const v = read(fields[i].input.value.trim());

				if (v !== undefined && (kind === "secret" ||
				    v !== (t[name] ?? null)))
					change[name] = v;
			} catch (e) {
				fields[i].error(e.message);
				fields[i].input.focus();
				return;
			}
		}
		if (Object.keys(change).length === 0) {
			toast("Nothing was changed.");
			return;
		}
		try {
			this.took(await admin("PATCH",
			    `/admin/tenants/${t.tenant_id}`, change));
			toast("Saved; in force within a second.", "good");
		} catch (e) {
			const at = fields.find((f) => f.name === e.field);

			if (at) {
				at.error(e.message);
				at.input.focus();
			} else
				error.textContent = e.message;
		}
	}

	took(t)
	{
		const { webhook_secret: secret, ...rest } = t;

		this.tenant = rest;
		this.changed(rest);
		this.draw();
		this.loadKeys();
		if (secret)
			showKey("Webhook secret", secret);
	}

	// ---- keys ----

	keysCard()
	{
		return h("section", { class: "card section" },
		    h("div", { class: "row" }, h("h3", null, "Keys"),
			h("span", { class: "push" }),
			h("button", { type: "button", class: "button small",
			    onclick: () => this.addKey() }, "Add a key")),
		    this.keys);
	}

	async loadKeys()
	{
		const at = `/admin/tenants/${this.tenant.tenant_id}/keys`;

		try {
			const { keys } = await admin("GET", at);

			fill(this.keys, keys.map((k) => this.keyRow(k, at)),
			    keys.length === 0 && h("p", { class: "hint" },
				"No key: the tenant’s backend cannot call."));
		} catch (e) {
			fill(this.keys, h("p", { class: "form-error",
			    role: "alert" }, e.message));
		}
	}

	keyRow(k, at)
	{
		return h("div", { class: "key" },
		    h("code", null, k.key_id),
		    h("span", { class: "muted" }, "made " +
			fullTime(k.created_at) + (k.last_used_at ?
			    " · used " + fullTime(k.last_used_at) :
			    " · never used")),
		    h("button", { type: "button", class: "button small",
			onclick: () => dialog("Revoke this key?",
			    h("p", null, "Requests with it are refused " +
				"within a second, connections opened with " +
				"it are closed."), "Revoke", async () => {
				await admin("DELETE", `${at}/${k.key_id}`);
				await this.loadKeys();
			    }, true) }, "Revoke"));
	}

	async addKey()
	{
		try {
			const { tenant_id: id } = this.tenant;
			const { api_key: key } = await admin("POST",
			    `/admin/tenants/${id}/keys`);

			made.set(id, key);
			this.loadKeys();
			showKey("New key", key);
		} catch (e) {
			toast(e.message, "bad");
		}
	}

	// ---- off and away ----

	end()
	{
		const t = this.tenant;

		return h("section", { class: "card section" },
		    h("h3", null, "Stop"),
		    h("p", { class: "hint" }, t.disabled ?
			"Disabled: everything the tenant asks is refused; " +
			"nothing is lost." :
			"Disabling refuses all requests and closes all " +
			"connections; nothing is lost."),
		    h("div", { class: "row" },
			h("button", { type: "button", class: "button",
			    onclick: () => this.disable(!t.disabled) },
			t.disabled ? "Enable" : "Disable"),
			h("button", { type: "button", class: "button danger",
			    onclick: () => this.remove() },
			"Delete tenant")));
	}

	disable(disabled)
	{
		const t = this.tenant;
		const go = async () => this.took(await admin("PATCH",
		    `/admin/tenants/${t.tenant_id}`, { disabled }));

		if (!disabled)
			go().catch((e) => toast(e.message, "bad"));
		else
			dialog(`Disable ${t.name}?`, h("p", null,
			    "All its users are cut off until you enable it " +
			    "again."), "Disable", go, true);
	}

	remove()
	{
		const t = this.tenant;
		const typed = field(`Type ${t.name} to confirm`, h("input",
		    { autocomplete: "off", spellcheck: "false" }));
		const d = dialog(`Delete ${t.name}?`, [
		    h("p", null, "All its rooms, messages and keys go. There " +
			"is no way back."), typed], "Delete for good",
		async () => {
			if (typed.input.value !== t.name) {
				typed.error("That is not its name.");
				throw new Error("");
			}
			await admin("DELETE",
			    `/admin/tenants/${t.tenant_id}`);
			this.gone(t);
			toast(`${t.name} is gone.`);
		}, true);

		d.go.disabled = true;
		typed.input.addEventListener("input", () => {
			d.go.disabled = typed.input.value !== t.name;
		});
		typed.input.focus();
	}
}
