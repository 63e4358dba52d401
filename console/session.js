// SPDX-License-Identifier: MIT
// Who this page is: a user, by token or by API key.  Kept in sessionStorage,
// that is in this tab and until it is closed; the operator's key is kept in
// no storage at all.
import { observedFetch } from "./wire_log.js";

const KEY = "chatapi.identity";
const listeners = new Set();

export let identity = null;

export function onIdentity(f)
{
	listeners.add(f);
}

function claims(token)
{
	try {
		const part = token.split(".")[1].replace(/-/g, "+")
		    .replace(/_/g, "/");
		const raw = Uint8Array.from(atob(part), (c) =>
		    c.charCodeAt(0));

		return JSON.parse(new TextDecoder().decode(raw));
	} catch {
		return null;
	}
}

// A user's token, or null and what is wrong with it.
export function byToken(token)
{
	const c = claims(token);

	if (c === null || typeof c.sub !== "string")
		throw new Error("This is no JWT: three parts separated by " +
		    "dots, with the claims sub, tid and exp.");
	if (typeof c.exp === "number" && c.exp * 1000 < Date.now())
		throw new Error("This token has expired; ask your backend " +
		    "for another.");
	return { kind: "token", token, user: c.sub, tenant: c.tid,
	    expires: c.exp };
}

export function byKey(key, user)
{
	return { kind: "key", key, user };
}

export function headersOf(who)
{
	if (!who)
		return {};
	return who.kind === "token" ?
	    { Authorization: "Bearer " + who.token } :
	    { "X-API-Key": who.key, "X-User-Id": who.user };
}

export function signIn(who)
{
	identity = who;
	sessionStorage.setItem(KEY, JSON.stringify(who));
	for (const f of listeners)
		f(identity);
}

export function signOut()
{
	identity = null;
	sessionStorage.removeItem(KEY);
	for (const f of listeners)
		f(null);
}

// From #token=… (taken out of the address bar before anything else is done)
// or from this tab's storage.
export function restore()
{
	const fragment = new URLSearchParams(location.hash.slice(1));
	const token = fragment.get("token");

	if (token !== null) {
		history.replaceState(null, "", location.pathname);
		sessionStorage.removeItem(KEY);
		signIn(byToken(token));
		return;
	}
	const stored = sessionStorage.getItem(KEY);

	if (stored !== null)
		signIn(JSON.parse(stored));
}

// ---- requests ----

export class ApiError extends Error {
	constructor(status, body, retryAfter)
	{
		super(body.message || `The server answered ${status}.`);
		this.status = status;
		this.code = body.error;
		this.field = body.field;
		this.retryAfter = retryAfter;
	}
}

// One request; the parsed JSON, null for 204.  Throws ApiError, or Error
// with a sentence when there was no answer.
export async function call(method, path, { body, headers, poll } = {})
{
	const init = { method, headers: { ...headers }, cache: "no-store" };
	let r;

	if (body !== undefined) {
		init.headers["Content-Type"] = "application/json";
		init.body = JSON.stringify(body);
	}
	try {
		r = await observedFetch(path, init, poll);
	} catch {
		throw new Error("The server did not answer. Is it running, " +
		    "and is this machine online?");
	}
	const text = await r.text();
	let json = null;

	try {
		json = text ? JSON.parse(text) : null;
	} catch {
		json = {};
	}
	if (!r.ok)
		throw new ApiError(r.status, json || {},
		    r.headers.get("Retry-After"));
	return json;
}

// As the user who is signed in.
export function asUser(method, path, body)
{
	return call(method, path, { body, headers: headersOf(identity) });
}
