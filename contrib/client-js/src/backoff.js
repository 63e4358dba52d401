// SPDX-License-Identifier: MIT
// When to come back: the table of close codes and the pauses.

// What a server says only to a client that breaks the protocol: the same
// program would be told the same again.
const MEND = new Set([1002, 1003, 1007, 1009]);

export function closeAction(code) {
  if (MEND.has(code) || (code >= 4500 && code <= 4999)) return 'stop';
  return 'retry';
}

/** Half of it is random, so that those cut off together do not return so. */
export function backoffDelay(n, { base, max }, random) {
  const full = Math.min(max, base * 2 ** Math.min(n, 30));
  return Math.round(full / 2 + (random() * full) / 2);
}
