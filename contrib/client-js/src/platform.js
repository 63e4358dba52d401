// SPDX-License-Identifier: MIT
// What browsers and Node give under the same names, and stand-ins where an
// older one has none.

export const systemClock = {
  now: () => Date.now(),
  setTimeout: (f, ms) => setTimeout(f, ms),
  clearTimeout: (timer) => clearTimeout(timer),
};

/** Random bytes; weak ones where there is nothing else (Node 18): these
 * numbers must differ, they need not be secret. */
function randomBytes(n) {
  const bytes = new Uint8Array(n);
  if (globalThis.crypto?.getRandomValues) {
    return globalThis.crypto.getRandomValues(bytes);
  }
  return bytes.map(() => Math.floor(Math.random() * 256));
}

/** A UUID version 4. crypto.randomUUID is missing on pages without TLS. */
export function uuid() {
  if (globalThis.crypto?.randomUUID) return globalThis.crypto.randomUUID();
  const b = randomBytes(16);
  b[6] = (b[6] & 0x0f) | 0x40;
  b[8] = (b[8] & 0x3f) | 0x80;
  const hex = [...b].map((x) => x.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

/** The server's address as http: or https:, without a slash at the end. */
export function baseUrl(url) {
  const parsed = new URL(url);
  if (!/^(https?|wss?):$/.test(parsed.protocol)) {
    throw new TypeError(`url must be http, https, ws or wss: ${url}`);
  }
  const protocol = parsed.protocol.replace('ws', 'http');
  return `${protocol}//${parsed.host}${parsed.pathname}`.replace(/\/+$/, '');
}

const encoder = new TextEncoder();

/** Bytes of UTF-8. */
export function byteLength(text) {
  return encoder.encode(text).length;
}
