// SPDX-License-Identifier: MIT
// Two clients and the real server, with nothing going wrong.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ChatError } from 'chatapi-client';
import { Server, range, until } from './server.js';

let server;
let tenant;
before(async () => {
  server = await Server.start();
  tenant = await server.tenant();
});
after(() => server.destroy());

async function pair() {
  const { room_id: room } = await tenant.room('alice', 'bob');
  const alice = tenant.client('alice');
  const bob = tenant.client('bob');
  await Promise.all([alice.connect(), bob.connect()]);
  return { room, alice, bob };
}

async function end(...clients) {
  await Promise.all(clients.map((chat) => chat.close()));
}

test('a message is echoed, stored, and heard by both once', async () => {
  const { room, alice, bob } = await pair();
  const sent = await alice.send(room, 'Hello', { meta: { a: [1, null] } });
  assert.equal(sent.seq, 1);
  assert.equal(sent.duplicate, false);
  const got = await bob.heard('message', { room_id: room, seq: 1 });
  assert.equal(got.content, 'Hello');
  assert.deepEqual(got.meta, { a: [1, null] });
  assert.equal(got.sender_id, 'alice');
  assert.equal(got.message_id, sent.message_id);
  assert.equal(got.pending, false);
  await alice.heard('message', { room_id: room, seq: 1 });
  const own = alice.of('message', { client_msg_id: sent.client_msg_id });
  assert.deepEqual(own.map((m) => m.pending), [true, false]);
  assert.equal(own[0].content, 'Hello');
  assert.equal(own[0].sender_id, 'alice');
  await end(alice, bob);
});
