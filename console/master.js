// SPDX-License-Identifier: MIT
// The operator's key: in this variable and nowhere else.
let key = null;
const listeners = new Set();

export const master = () => key;

export function setMaster(value)
{
	key = value;
	for (const f of listeners)
		f();
}

export function onMaster(f)
{
	listeners.add(f);
}
