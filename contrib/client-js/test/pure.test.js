// SPDX-License-Identifier: MIT
// The parts that decide: pauses, close codes, cursors, tokens.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoffDelay, closeAction, localStorageAdapter, memoryStorage }
  from 'chatapi-client';
import { Cursors, mergePositions, readPositions } from '../src/cursors.js';
import { baseUrl, uuid } from '../src/platform.js';
import { expiry } from '../src/tokens.js';

test('close codes say whether to come back', () => {
  const stop = [1002, 1003, 1007, 1009, 4500, 4505, 4999];
  const retry = [1000, 1001, 1005, 1006, 1008, 1011, 1012, 1013, 4100, 4103,
    4108, 4499, 4000, 3000];
  assert.deepEqual(stop.map(closeAction), stop.map(() => 'stop'));
  assert.deepEqual(retry.map(closeAction), retry.map(() => 'retry'));
});

test('pauses double up to the most, half of each at random', () => {
  const backoff = { base: 500, max: 30000 };
  const at = (random) => [0, 1, 2, 5, 6, 1000].map((n) =>
    backoffDelay(n, backoff, () => random));
  assert.deepEqual(at(0), [250, 500, 1000, 8000, 15000, 15000]);
  assert.deepEqual(at(0.999999999), [500, 1000, 2000, 16000, 30000, 30000]);
});

test('a message is new once and only in its turn', () => {
  const c = new Cursors();
  c.reset('e');
  const take = (seq) => c.message({ room_id: 'r', seq });
  // The first of a room may be any: who joined late starts at the head.
  assert.equal(take(7), 'new');
  assert.equal(take(7), 'old');
  assert.equal(take(3), 'old');
  assert.equal(take(9), 'hole');
  assert.equal(take(8), 'new');
  assert.equal(take(9), 'new');
  c.gap({ room_id: 'r', from: 10, to: 20 });
  assert.equal(take(20), 'old');
  assert.equal(take(21), 'new');
  c.joined('r');
  assert.equal(take(30), 'new');
  assert.equal(take(32), 'hole');
});

test('a hole is asked for once, and given up if it cannot be had', () => {
  const c = new Cursors();
  c.reset('e');
  c.message({ room_id: 'r', seq: 4 });
  assert.deepEqual(c.heal('r'), { after_seq: 4, rev: 0 });
  assert.equal(c.heal('r'), null);
  c.healed('r', true);
  assert.equal(c.message({ room_id: 'r', seq: 6 }), 'hole');
  assert.deepEqual(c.heal('r'), { after_seq: 4, rev: 0 });
  c.healed('r', false);
  assert.equal(c.message({ room_id: 'r', seq: 6 }), 'new');
});

test('a change is news once', () => {
  const c = new Cursors();
  c.reset('e');
  const change = (seq, rev) => c.change({ room_id: 'r', seq, rev });
  c.message({ room_id: 'r', seq: 1 });
  c.message({ room_id: 'r', seq: 2, rev: 2 });
  // It came as it was after change 2.
  assert.equal(change(2, 2), false);
  assert.equal(change(1, 3), true);
  assert.equal(change(1, 3), false);
  assert.equal(change(2, 1), false);
  assert.equal(change(2, 4), true);
  assert.deepEqual(c.copy().rooms.r, { seq: 2, rev: 4 });
});

test('heads fill in rooms without messages and tell which are behind', () => {
  const c = new Cursors();
  c.reset('e');
  c.message({ room_id: 'a', seq: 5 });
  assert.deepEqual(c.heads({ a: { seq: 5, rev: 3 }, b: { seq: 9, rev: 0 } }),
    []);
  assert.deepEqual(c.copy(), { epoch: 'e',
    rooms: { a: { seq: 5, rev: 3 }, b: { seq: 9, rev: 0 } } });
  assert.deepEqual(c.heads({ a: { seq: 6, rev: 3 } }), ['a']);
});

test('a resume asks for all changes where the rev is unknown', () => {
  const c = new Cursors();
  c.reset('e');
  c.message({ room_id: 'a', seq: 5 });
  assert.deepEqual(c.resume(), { a: { seq: 5, rev: 0 } });
  assert.deepEqual(c.take().rooms, { a: { seq: 5 } });
});

test('a resume of very many rooms names those that moved last', () => {
  const c = new Cursors();
  c.load({ epoch: 'e', rooms: Object.fromEntries(
    Array.from({ length: 20000 }, (_, i) => [`room_${i}`, { seq: 1 }])) });
  c.message({ room_id: 'room_0', seq: 2 });
  const rooms = c.resume();
  assert.ok(JSON.stringify(rooms).length < 1 << 20);
  assert.deepEqual(rooms.room_0, { seq: 2, rev: 0 });
  assert.ok(rooms.room_19999 && !rooms.room_1);
});

test('what is kept is merged with what other pages have kept', () => {
  const ours = { epoch: 'e', left: new Set(['gone']),
    rooms: { a: { seq: 5, rev: 1 }, b: { seq: 1 } } };
  const kept = { epoch: 'e', rooms: { a: { seq: 3, rev: 2 },
    c: { seq: 8, rev: 0 }, gone: { seq: 2, rev: 0 } } };
  assert.deepEqual(mergePositions(kept, ours), { epoch: 'e', rooms: {
    a: { seq: 5, rev: 2 }, b: { seq: 1 }, c: { seq: 8, rev: 0 } } });
  assert.deepEqual(mergePositions({ ...kept, epoch: 'old' }, ours).rooms,
    ours.rooms);
  assert.deepEqual(mergePositions(null, ours).rooms, ours.rooms);
});

test('what is kept and makes no sense is not used', () => {
  for (const text of [null, undefined, '', '{', '7', '"x"', 'null', '[]',
    '{"epoch":"e"}', '{"epoch":1,"rooms":{}}', '{"epoch":"e","rooms":null}',
    '{"epoch":"e","rooms":5}']) {
    assert.equal(readPositions(text), null, text);
  }
  assert.deepEqual(readPositions(JSON.stringify({ epoch: 'e', rooms: {
    a: { seq: 1, rev: 2 }, b: { seq: -1 }, c: { seq: '5' }, d: null,
    f: { seq: 3, rev: 'x' }, g: { seq: 1e300 } } })),
  { epoch: 'e', rooms: { a: { seq: 1, rev: 2 }, f: { seq: 3 } } });
});

test('storages keep strings', () => {
  const area = new Map();
  const adapters = [memoryStorage(), localStorageAdapter({
    getItem: (k) => area.get(k) ?? null,
    setItem: (k, v) => area.set(k, v),
    removeItem: (k) => area.delete(k),
  })];
  for (const storage of adapters) {
    assert.equal(storage.get('k'), null);
    storage.set('k', 'v');
    assert.equal(storage.get('k'), 'v');
    storage.remove('k');
    assert.equal(storage.get('k'), null);
  }
});

test('addresses are taken in any of their forms', () => {
  assert.equal(baseUrl('https://a.example'), 'https://a.example');
  assert.equal(baseUrl('wss://a.example/x/'), 'https://a.example/x');
  assert.equal(baseUrl('ws://a.example:81'), 'http://a.example:81');
  assert.throws(() => baseUrl('ftp://a.example'), TypeError);
  assert.throws(() => baseUrl('nonsense'), TypeError);
});

test('the end of a token is read where there is one', () => {
  const jwt = (claims) => `x.${Buffer.from(JSON.stringify(claims))
    .toString('base64url')}.y`;
  assert.equal(expiry(jwt({ exp: 17, name: 'ü?>~' })), 17);
  assert.equal(expiry(jwt({})), null);
  assert.equal(expiry('wst_abc'), null);
  assert.equal(expiry('a.b.c'), null);
});

test('uuids are of version 4 and differ', () => {
  const form =
    /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
  const saved = Object.getOwnPropertyDescriptor(globalThis, 'crypto');
  try {
    for (const crypto of [saved?.value ?? globalThis.crypto, undefined,
      { getRandomValues: (b) => globalThis.crypto && b.fill(7) }]) {
      Object.defineProperty(globalThis, 'crypto',
        { value: crypto, configurable: true, writable: true });
      assert.match(uuid(), form);
    }
    Object.defineProperty(globalThis, 'crypto',
      { value: undefined, configurable: true, writable: true });
    assert.equal(new Set(Array.from({ length: 1000 }, uuid)).size, 1000);
  } finally {
    if (saved) Object.defineProperty(globalThis, 'crypto', saved);
    else delete globalThis.crypto;
  }
});
