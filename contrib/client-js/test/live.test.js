// SPDX-License-Identifier: MIT
// Clients and the real server, with nothing going wrong but what the test
// wants.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ChatRest, memoryStorage } from 'chatapi-client';
import { Proxy } from './proxy.js';
import { Server, range, until } from './server.js';

let server;
let tenant;
before(async () => {
  server = await Server.start({ WS_MAX_CONNECTIONS_PER_USER: '3' });
  tenant = await server.tenant();
});
after(() => server.destroy());

const group = async (...members) => (await tenant.room(...members)).room_id;

async function pair(options) {
  const room = await group('alice', 'bob');
  const alice = tenant.client('alice', options);
  const bob = tenant.client('bob', options);
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
  const same = await alice.send(room, 'Hello', { meta: { a: [1, null] },
    clientMsgId: sent.client_msg_id });
  assert.equal(same.duplicate, true);
  assert.equal(same.message_id, sent.message_id);
  await assert.rejects(alice.send(room, 'Other',
    { clientMsgId: sent.client_msg_id }), { code: 'conflict' });
  await assert.rejects(alice.send('room_of_nobody', 'x'),
    { code: 'not_found', temporary: false });
  await assert.rejects(alice.send(room, ''), { code: 'invalid_request' });
  await end(alice, bob);
});

test('edits, deletions and acks are heard', async () => {
  const { room, alice, bob } = await pair();
  const { message_id: id } = await alice.send(room, 'Helo');
  const as = tenant.user('alice');
  await as.edit(room, id, 'Hello');
  const edited = await bob.heard('edited', { message_id: id });
  assert.deepEqual([edited.seq, edited.rev, edited.content],
    [1, 1, 'Hello']);
  await as.deleteMessage(room, id);
  const deleted = await bob.heard('deleted', { message_id: id });
  assert.equal(deleted.rev, 2);
  bob.ack(room, 1);
  await alice.heard('ack', { room_id: room, user_id: 'bob', seq: 1 });
  await bob.heard('ack', { room_id: room, user_id: 'bob', seq: 1 });
  await end(alice, bob);
});

test('changes of rooms are heard live', async () => {
  const bob = tenant.client('bob');
  await bob.connect();
  const room = await group('alice');
  const alice = tenant.client('alice');
  await alice.connect();
  await alice.send(room, 'before he came');
  await tenant.rest.addMember(room, 'bob');
  const joined = await bob.heard('room.joined', { room_id: room });
  assert.equal(joined.room.room_id, room);
  await alice.send(room, 'welcome');
  await bob.heard('message', { room_id: room, seq: 2 });
  assert.deepEqual(bob.seqs(room), [2]);
  await tenant.rest.updateRoom(room, { name: 'New' });
  const updated = await bob.heard('room.updated', { room_id: room });
  assert.equal(updated.room.name, 'New');
  await tenant.rest.removeMember(room, 'bob');
  await bob.heard('room.left', { room_id: room });
  await tenant.rest.deleteRoom(room);
  await alice.heard('room.deleted', { room_id: room });
  assert.equal(bob.cursors().rooms[room], undefined);
  await end(alice, bob);
});

test('typing and presence are heard', async () => {
  const { room, alice, bob } = await pair({ typingTimeout: 300 });
  await alice.heard('presence', { user_id: 'bob', status: 'online' });
  assert.equal(alice.isOnline('bob'), true);
  // At each event: both may have come when the test goes on.
  const typing = [];
  alice.on('typing', () => typing.push(alice.typingIn(room)));
  bob.typing(room);
  await alice.heard('typing', { room_id: room, user_id: 'bob',
    action: 'stop' });
  assert.deepEqual(typing, [['bob'], []]);
  await bob.close();
  await alice.heard('presence', { user_id: 'bob', status: 'offline' });
  assert.equal(alice.isOnline('bob'), false);
  await end(alice);
});

test('a page that is loaded again goes on where it was', async () => {
  const room = await group('alice', 'bob');
  const alice = tenant.client('alice');
  await alice.connect();
  const storage = memoryStorage();
  const seen = [];
  let edits = 0;
  for (const round of range(1, 5)) {
    const bob = tenant.client('bob', { storage });
    bob.on('message', (m) => m.room_id === room && seen.push(m.seq));
    bob.on('edited', (m) => {
      if (m.room_id === room) edits++;
    });
    await bob.connect();
    await alice.send(room, `here ${round}`);
    await until(() => seen.at(-1) === round * 2 - 1, 'he had it');
    await bob.close();
    const { message_id: id } = await alice.send(room, `away ${round}`);
    await tenant.user('alice').edit(room, id, 'edited before he came');
    if (round > 1) {
      const first = await tenant.rest.history(room, { limit: 1 });
      await tenant.user('alice').edit(room, first.messages[0].message_id,
        `edit ${round}`);
    }
  }
  const bob = tenant.client('bob', { storage });
  bob.on('message', (m) => m.room_id === room && seen.push(m.seq));
  bob.on('edited', (m) => {
    if (m.room_id === room) edits++;
  });
  await bob.connect();
  // Nothing was acknowledged: only the cursors kept it from coming again.
  assert.deepEqual(seen, range(1, 10));
  assert.equal(edits, 4);
  await end(alice, bob);
});

test('a page that dies at once does not lose a message', async () => {
  const room = await group('alice', 'bob');
  const alice = tenant.client('alice');
  await alice.connect();
  const storage = memoryStorage();
  const first = tenant.client('bob', { storage, persistInterval: 0 });
  await first.connect();
  await alice.send(room, 'one');
  await first.heard('message', { room_id: room, seq: 1 });
  // It was never closed: the next one lives beside it.
  await alice.send(room, 'two');
  await first.heard('message', { room_id: room, seq: 2 });
  const next = tenant.client('bob', { storage });
  await next.connect();
  await alice.send(room, 'three');
  await next.heard('message', { room_id: room, seq: 3 });
  assert.deepEqual(next.seqs(room), [3]);
  await end(alice, first, next);
});

test('every kind of token opens connections, each time a new one',
  async () => {
    const proxy = await Proxy.start(server.port, Math.random);
    const kinds = {
      wst: async () => (await tenant.rest.wsToken('carol')).token,
      jwt: async () => tenant.jwt('carol'),
    };
    for (const [kind, make] of Object.entries(kinds)) {
      let asked = 0;
      const carol = tenant.client('carol', { url: proxy.url,
        headers: undefined,
        tokenProvider: async ({ purpose }) => {
          assert.equal(purpose, 'socket');
          asked++;
          return make();
        } });
      await carol.connect();
      for (const n of range(1, 3)) {
        assert.equal(asked, n, kind);
        proxy.cutAll();
        await until(() => carol.of('sync').length === n + 1, 'it was back');
      }
      assert.equal(carol.userId, 'carol');
      await carol.close();
    }
    await proxy.stop();
  });

test('a JWT that ends brings a new connection with a new one', async () => {
  let asked = 0;
  const dave = tenant.client('dave', { headers: undefined,
    tokenProvider: async () => tenant.jwt('dave', asked++ ? 3600 : 1) });
  await dave.connect();
  await dave.heard('state', { state: 'waiting', code: 4103 });
  await until(() => dave.state === 'online', 'it was back');
  assert.equal(asked, 2);
  await dave.close();
});

test('revoked keys and disabled tenants stop it', async () => {
  const own = await server.tenant();
  const jwt = own.client('erin', { headers: undefined,
    token: own.jwt('erin') });
  const key = own.client('frank');
  await Promise.all([jwt.connect(), key.connect()]);
  await own.change({ jwt_secret: 'another secret of thirty-two bytes' });
  const stopped = await jwt.heard('state', { state: 'stopped' });
  assert.equal(stopped.code, 4500);
  await own.change({ disabled: true });
  assert.equal((await key.heard('state', { state: 'stopped' })).code, 4505);
  // The event `state` tells it; who connects now is told by the promise.
  await own.change({ disabled: false });
  await key.connect();
  await end(jwt, key);
});

test('one connection too many waits for another to end', async () => {
  const all = range(1, 4).map(() => tenant.client('gina'));
  await Promise.all(all.slice(0, 3).map((chat) => chat.connect()));
  const ready = all[3].connect();
  await all[3].heard('state', { state: 'waiting', code: 1008 });
  await all[0].close();
  await ready;
  await end(...all.slice(1));
});

test('a dead connection is found and replaced', async () => {
  const proxy = await Proxy.start(server.port, Math.random);
  const events = new EventTarget();
  const room = await group('alice');
  const alice = tenant.client('alice', { url: proxy.url, events,
    pongTimeout: 300 });
  await alice.connect();
  proxy.silent = true;
  const sent = alice.send(room, 'into the void');
  events.dispatchEvent(new Event('online'));
  await alice.heard('state', { state: 'waiting', code: 1006 });
  proxy.silent = false;
  assert.equal((await sent).seq, 1);
  await end(alice);
  await proxy.stop();
});

test('requests do what their names say', async () => {
  const alice = tenant.user('alice');
  const room = await alice.createRoom({ type: 'group', members: ['bob'],
    name: 'Ops', metadata: { color: 'red' } });
  assert.equal((await alice.room(room.room_id)).name, 'Ops');
  for (const i of range(1, 5)) await alice.post(room.room_id, `m ${i}`);
  const page = await alice.history(room.room_id, { afterSeq: 1, limit: 2 });
  assert.deepEqual(page.messages.map((m) => m.seq), [2, 3]);
  assert.equal(page.has_more, true);
  const back = await alice.history(room.room_id, { beforeSeq: 3 });
  assert.deepEqual(back.messages.map((m) => m.seq), [1, 2]);
  const [first] = back.messages;
  assert.equal((await alice.message(room.room_id, first.message_id)).content,
    'm 1');
  assert.equal((await alice.ack(room.room_id, 4)).seq, 4);
  await alice.addMember(room.room_id, 'carol', 'admin');
  await alice.addMembers(room.room_id, ['dave', 'erin']);
  await alice.removeMember(room.room_id, 'dave');
  const members = [];
  for await (const m of alice.each((q) =>
    alice.members(room.room_id, { ...q, limit: 2 }))) {
    members.push([m.user_id, m.role]);
  }
  assert.deepEqual(members.sort(), [['alice', 'admin'], ['bob', 'member'],
    ['carol', 'admin'], ['erin', 'member']]);
  await alice.createRoom({ type: 'channel', name: 'News' });
  assert.ok((await alice.channels()).channels.some((c) => c.name === 'News'));
  const rooms = [];
  for await (const r of alice.each((q) => alice.rooms({ ...q, limit: 1 }))) {
    rooms.push(r);
  }
  assert.equal(new Set(rooms.map((r) => r.room_id)).size, rooms.length);
  const listed = rooms.find((r) => r.room_id === room.room_id);
  assert.equal(listed.unread_count, 1);
  assert.equal((await alice.updateRoom(room.room_id, { name: null })).name,
    null);
  assert.equal(await alice.deleteRoom(room.room_id), null);
});

test('refused requests reject with what the server said', async () => {
  const alice = tenant.user('alice');
  await assert.rejects(alice.createRoom({ type: 'nonsense' }),
    (error) => {
      assert.equal(error.name, 'ChatError');
      assert.equal(error.code, 'invalid_request');
      assert.equal(error.status, 400);
      assert.equal(error.field, 'type');
      assert.match(error.message, /type must be/);
      assert.ok(error.requestId);
      assert.equal(error.temporary, false);
      return true;
    });
  const slow = await server.tenant();
  await slow.change({ rate_limit: 1 });
  await assert.rejects(
    Promise.all(range(1, 20).map(() => slow.rest.rooms())),
    (error) => error.code === 'rate_limit_exceeded' && error.temporary &&
      error.status === 429 && error.retryAfterMs >= 1000);
  const nobody = new ChatRest({ url: 'http://127.0.0.1:9', token: 'a.b.c' });
  await assert.rejects(nobody.rooms(), { code: 'network', temporary: true });
  const once = new ChatRest({ url: server.url, token: 'wst_1' });
  await assert.rejects(once.rooms(), { code: 'no_token' });
});

test('requests show a JWT as long as it is good', async () => {
  let asked = 0;
  const rest = new ChatRest({ url: server.url,
    tokenProvider: async ({ purpose }) => {
      assert.equal(purpose, 'rest');
      return asked++ ? tenant.jwt('henry') : 'h.' +
        btoa(JSON.stringify({ exp: Date.now() / 1000 + 99 })) + '.bad';
    } });
  const room = await rest.createRoom({ type: 'group' });
  await rest.rooms();
  // The bad one was shown, refused, and replaced.
  assert.equal(asked, 2);
  const chat = tenant.client('henry', { headers: undefined,
    tokenProvider: async () => tenant.jwt('henry') });
  await chat.connect();
  assert.equal((await chat.rest.rooms()).rooms[0].room_id, room.room_id);
  await chat.close();
});
