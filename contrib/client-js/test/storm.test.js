// SPDX-License-Identifier: MIT
// Two clients chat while processes are killed and connections are cut: each
// sees each message once and in order, each send is stored once.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Proxy, seeded } from './proxy.js';
import { SLOW, Server, pause, range, until } from './server.js';

// Messages of each client.
const COUNT = SLOW ? 60 : 150;
const ROUNDS = 4;

let server;
let tenant;
before(async () => {
  server = await Server.start();
  tenant = await server.tenant();
});
after(() => server.destroy());

/** Sends n messages one after the other without waiting for answers. */
async function chatter(chat, room, n) {
  const answers = [];
  for (const i of range(1, n)) {
    answers.push(chat.send(room, `${chat.userId} ${i}`));
    await pause(15);
  }
  return Promise.all(answers);
}

async function history(room) {
  const out = [];
  for (let more = true; more;) {
    const page = await tenant.rest.history(room,
      { afterSeq: out.at(-1)?.seq ?? 0, limit: 100 });
    out.push(...page.messages);
    more = page.has_more;
  }
  return out;
}

/** What holds after any storm. */
async function settled(room, chats, answers, n) {
  const total = chats.length * n;
  await until(() => chats.every((chat) => chat.seqs(room).length >= total),
    'everybody had everything');
  const stored = await history(room);
  assert.deepEqual(stored.map((m) => m.seq), range(1, total));
  for (const chat of chats) {
    assert.deepEqual(chat.seqs(room), range(1, total));
    const got = chat.of('message', { room_id: room, pending: false });
    assert.deepEqual(got.map((m) => m.content),
      stored.map((m) => m.content));
    // Stored once, in the order of the calls.
    const own = stored.filter((m) => m.sender_id === chat.userId);
    assert.deepEqual(own.map((m) => m.content),
      range(1, n).map((i) => `${chat.userId} ${i}`));
    assert.deepEqual(chat.of('failed'), []);
    assert.deepEqual(chat.of('error'), []);
    assert.deepEqual(chat.of('gap'), []);
  }
  for (const [i, chat] of chats.entries()) {
    assert.deepEqual(answers[i].map((a) => a.message_id),
      stored.filter((m) => m.sender_id === chat.userId)
        .map((m) => m.message_id));
  }
}

async function clients(url = server.url, options = {}) {
  const { room_id: room } = await tenant.room('alice', 'bob');
  const chats = ['alice', 'bob'].map((user) =>
    tenant.client(user, { url, ...options }));
  await Promise.all(chats.map((chat) => chat.connect()));
  return { room, chats };
}

const close = (chats) => Promise.all(chats.map((chat) => chat.close()));

/** Calls each of the faults in turn while the clients chat, some rounds long;
 * after each it waits until something was stored again, so that there is
 * always a chance. Returns how many rounds there were. */
async function under(faults, room, chats, n) {
  let done = false;
  let rounds = 0;
  const heard = () => chats[0].seqs(room).length + chats[1].seqs(room).length;
  const storm = (async () => {
    while (!done && rounds < ROUNDS) {
      for (const fault of faults) {
        const before = heard();
        await fault();
        await until(() => done || heard() > before, 'a message came through');
      }
      rounds++;
    }
  })();
  const talk = Promise.all(chats.map((chat) => chatter(chat, room, n)));
  // Whichever fails first is told.
  const answers = await Promise.race([talk,
    storm.then(() => talk)]).finally(() => {
    done = true;
  });
  await storm;
  await settled(room, chats, answers, n);
  return rounds;
}

test('processes are killed with SIGKILL while two clients chat', async () => {
  const { room, chats } = await clients();
  const rounds = await under(['worker 0', 'worker 1', 'writer'].map((role) =>
    () => server.killOne(role)), room, chats, COUNT);
  assert.ok(rounds >= 2, `${rounds} rounds`);
  assert.ok(chats.some((chat) => chat.of('state', { state: 'waiting' })[0]));
  await close(chats);
});

test('the whole server is killed while two clients chat', async () => {
  const { room, chats } = await clients();
  const rounds = await under([async () => {
    await server.crash();
    await server.launch();
  }], room, chats, COUNT);
  assert.ok(rounds >= 2, `${rounds} rounds`);
  for (const chat of chats) {
    assert.ok(chat.of('state', { state: 'waiting' }).length >= 2);
  }
  await close(chats);
});

test('connections are cut at random bytes while two clients chat',
  async (t) => {
    const seed = Number(process.env.CHATAPI_SEED ?? Date.now() % 1e6);
    t.diagnostic(`CHATAPI_SEED=${seed}`);
    const random = seeded(seed);
    const proxy = await Proxy.start(server.port, random);
    // A handshake and a resume need about 1,500 bytes of it.
    proxy.cutAfter = 3500;
    const { room, chats } = await clients(proxy.url,
      { random, backoff: { base: 20, max: 100 } });
    const n = COUNT / 2;
    const answers = await Promise.all(chats.map((c) => chatter(c, room, n)));
    proxy.cutAfter = Infinity;
    await settled(room, chats, answers, n);
    assert.ok(proxy.cuts >= 10, `${proxy.cuts} cuts`);
    await close(chats);
    await proxy.stop();
  });
