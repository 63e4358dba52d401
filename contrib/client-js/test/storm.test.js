// SPDX-License-Identifier: MIT
// Two clients chat while processes are killed and connections are cut: each
// sees each message once and in order, each send is stored once.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Proxy, seeded } from './proxy.js';
import { SLOW, Server, pause, range, until } from './server.js';

// Messages of each client, at least and at most.
const COUNT = SLOW ? 60 : 150;
const COUNT_MAX = 3000;
const ROUNDS_MIN = 2;
const ROUNDS_MAX = 4;

let server;
let tenant;
before(async () => {
  server = await Server.start();
  tenant = await server.tenant();
});
after(() => server.destroy());

/** Sends n messages one after the other without waiting for answers, and
 * more() of them. */
async function chatter(chat, room, n, more = () => false) {
  const answers = [];
  for (let i = 1; i <= n || (i <= COUNT_MAX && more()); i++) {
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
async function settled(room, chats, answers) {
  const total = answers.flat().length;
  await until(() => chats.every((chat) => chat.seqs(room).length >= total),
    'everybody had everything');
  const stored = await history(room);
  assert.deepEqual(stored.map((m) => m.seq), range(1, total));
  for (const [i, chat] of chats.entries()) {
    assert.deepEqual(chat.seqs(room), range(1, total));
    const got = chat.of('message', { room_id: room, pending: false });
    assert.deepEqual(got.map((m) => m.content),
      stored.map((m) => m.content));
    // Stored once, in the order of the calls.
    const own = stored.filter((m) => m.sender_id === chat.userId);
    assert.deepEqual(own.map((m) => m.content),
      range(1, answers[i].length).map((n) => `${chat.userId} ${n}`));
    assert.deepEqual(chat.of('failed'), []);
    assert.deepEqual(chat.of('error'), []);
    assert.deepEqual(chat.of('gap'), []);
    assert.deepEqual(answers[i].map((a) => a.message_id),
      own.map((m) => m.message_id));
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
 * after each it waits until each of them has heard something again, so that
 * there is always a chance. They chat until there were two rounds at least. */
async function under(faults, room, chats) {
  let done = false;
  let rounds = 0;
  const heard = () => chats.map((chat) => chat.seqs(room).length);
  const storm = (async () => {
    while (!done && rounds < ROUNDS_MAX) {
      for (const fault of faults) {
        const before = heard();
        await fault();
        await until(() => done || heard().every((n, i) => n > before[i]),
          'a message came through to each');
      }
      rounds++;
    }
  })();
  const talk = Promise.all(chats.map((chat) =>
    chatter(chat, room, COUNT, () => rounds < ROUNDS_MIN)));
  // Whichever fails first is told.
  const answers = await Promise.race([talk,
    storm.then(() => talk)]).finally(() => {
    done = true;
  });
  await storm;
  await settled(room, chats, answers);
  assert.ok(rounds >= ROUNDS_MIN, `${rounds} rounds`);
}

test('processes are killed with SIGKILL while two clients chat', async () => {
  const { room, chats } = await clients();
  await under(['worker 0', 'worker 1', 'writer'].map((role) =>
    () => server.killOne(role)), room, chats);
  assert.ok(chats.some((chat) => chat.of('state', { state: 'waiting' })[0]));
  await close(chats);
});

test('the whole server is killed while two clients chat', async () => {
  const { room, chats } = await clients();
  await under([async () => {
    await server.crash();
    await server.launch();
  }], room, chats);
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
    await settled(room, chats, answers);
    assert.ok(proxy.cuts >= 10, `${proxy.cuts} cuts`);
    await close(chats);
    await proxy.stop();
  });
