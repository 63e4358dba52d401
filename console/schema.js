// SPDX-License-Identifier: MIT
// The API's description, /openapi.json, as the playground needs it.  Does no
// drawing.
import { call } from "./session.js";

const METHODS = ["get", "post", "put", "patch", "delete"];
let loaded = null;

export function follow(doc, o)
{
	while (o && o.$ref)
		o = o.$ref.slice(2).split("/").reduce((at, part) =>
		    at[part.replace(/~1/g, "/").replace(/~0/g, "~")], doc);
	return o;
}

// A value of the schema, for where there is no example.
export function sample(doc, schema, depth = 0)
{
	const s = follow(doc, schema) || {};

	if (s.example !== undefined)
		return s.example;
	if (s.default !== undefined)
		return s.default;
	if (s.const !== undefined)
		return s.const;
	if (s.enum)
		return s.enum[0];
	const type = Array.isArray(s.type) ? s.type[0] : s.type;

	if (type === "object" || s.properties) {
		const out = {};

		for (const [k, v] of Object.entries(s.properties || {}))
			if (depth < 4 && (!s.required ||
			    s.required.includes(k)))
				out[k] = sample(doc, v, depth + 1);
		return out;
	}
	if (type === "array")
		return depth < 4 ? [sample(doc, s.items, depth + 1)] : [];
	return { string: "", integer: s.minimum ?? 0, number: 0,
	    boolean: false }[type] ?? null;
}

function operation(doc, path, method, item)
{
	const op = item[method];
	const body = follow(doc, op.requestBody);
	const content = body && body.content &&
	    body.content["application/json"];
	const example = content && (content.example !== undefined ?
	    content.example : content.examples ?
		follow(doc, Object.values(content.examples)[0]).value :
		sample(doc, content.schema));
	const security = op.security || doc.security || [];

	return {
		id: op.operationId, path, method: method.toUpperCase(),
		tag: (op.tags || ["other"])[0], summary: op.summary || "",
		description: op.description || "",
		parameters: [...(item.parameters || []),
		    ...(op.parameters || [])].map((p) => follow(doc, p)),
		body: content ? JSON.stringify(example, null, 2) : null,
		open: security.length === 0,
		operator: security.some((s) => s.masterKey),
		backend: security.some((s) => s.apiKey &&
		    Object.keys(s).length === 1),
		bearer: security.some((s) => s.bearer),
	};
}

// All operations, in the order of the description; asked for once.
export function operations()
{
	loaded ??= call("GET", "/openapi.json").then((doc) =>
	    Object.entries(doc.paths).flatMap(([path, item]) =>
		METHODS.filter((m) => item[m]).map((m) =>
		    operation(doc, path, m, item))));
	loaded.catch(() => {
		loaded = null;
	});
	return loaded;
}
