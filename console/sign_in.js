// SPDX-License-Identifier: MIT
// The form by which a user comes in.
import { add, copyButton, field, h, icon } from "./dom.js";
import { byKey, byToken, call, headersOf, signIn } from "./session.js";

const MAKE = "chatapi tenant create acme";

// What to type in a terminal, with a button that copies it.
export function command(text)
{
	return h("div", { class: "command" },
	    h("pre", { tabindex: "0", "aria-label": "Command" },
		h("code", null, text)),
	    copyButton(text, "Copy command"));
}

function fieldsFor(mode)
{
	if (mode === "token") {
		const token = field("Token", h("textarea", { rows: "4",
		    class: "mono", spellcheck: "false", autocomplete: "off",
		    placeholder: "eyJhbGciOi…" }),
		"A JWT that your backend signed: sub, tid and exp.");

		return { all: [token], read: () => {
			if (!token.input.value.trim())
				throw Object.assign(new Error(
				    "Paste a token."), { at: token });
			return byToken(token.input.value.trim());
		} };
	}
	const key = field("API key", h("input", { type: "password",
	    class: "mono", autocomplete: "off", spellcheck: "false",
	    placeholder: "sk_…" }),
	"For development: whoever has the key is every user.");
	const user = field("User id", h("input", { autocomplete: "off",
	    spellcheck: "false", placeholder: "alice" }),
	"Your own name for the user; it need not exist yet.");

	return { all: [key, user], read: () => {
		for (const f of [key, user])
			if (!f.input.value.trim())
				throw Object.assign(new Error(f === key ?
				    "Enter the API key." :
				    "Enter a user id."), { at: f });
		return byKey(key.input.value.trim(), user.input.value.trim());
	} };
}

function modeButton(label, mode, choose)
{
	return h("label", { class: "segment" },
	    h("input", { type: "radio", name: "sign-in-mode", value: mode,
		checked: mode === "key", onchange: () => choose(mode) }),
	    h("span", null, label));
}

export function signInView(box)
{
	const slot = h("div", { class: "sign-in-fields" });
	const error = h("p", { class: "form-error", role: "alert" });
	const go = h("button", { class: "button primary wide",
	    type: "submit" }, "Sign in");
	let form = null;
	const choose = (mode) => {
		form = fieldsFor(mode);
		slot.replaceChildren(...form.all);
		error.textContent = "";
	};
	const submit = async (e) => {
		e.preventDefault();
		error.textContent = "";
		go.disabled = true;
		try {
			const who = form.read();

			await call("GET", "/rooms?limit=1",
			    { headers: headersOf(who) });
			signIn(who);
		} catch (err) {
			const at = err.at ||
			    (err.field === "X-User-Id" && form.all[1]);

			if (at) {
				at.error(err.message);
				at.input.focus();
			} else
				error.textContent = err.message;
			go.disabled = false;
		}
	};

	choose("key");
	box.replaceChildren();
	add(box, [h("div", { class: "sign-in" },
	    h("form", { class: "card", novalidate: true, onsubmit: submit },
		h("h1", null, "Sign in as a user"),
		h("p", { class: "lead" }, "See rooms, send, watch messages " +
		    "arrive. Open this page twice and talk to yourself."),
		h("fieldset", { class: "segments" },
		    h("legend", { class: "sr" }, "How to sign in"),
		    modeButton("Key and user", "key", choose),
		    modeButton("User’s token", "token", choose)),
		slot, error, go,
		h("p", { class: "fine" }, icon("key"),
		    "Kept in this tab until you close it.")),
	    h("aside", { class: "teach" },
		h("h2", null, "No key yet?"),
		h("p", null, "Make a tenant on the server; its key is shown " +
		    "once:"),
		command(MAKE),
		h("p", null, "or under ", h("b", null, "Operator"),
		    ", with the server’s master key.")))]);
}
