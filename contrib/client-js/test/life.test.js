// SPDX-License-Identifier: MIT
// When the client connects, comes back and stops; with a clock and sockets
// that the test moves.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ChatClient, ChatError } from 'chatapi-client';
import { fakeClient, onlineClient, settle } from './fake.js';

const states = (chat) => chat.of('state').map((s) => s.state);

test('connect resolves when everything has been caught up with', async () => {
  const { chat, Socket } = fakeClient();
  assert.equal(chat.state, 'idle');
  let ready = false;
  chat.connect().then(() => {
    ready = true;
  });
  await settle();
  const socket = Socket.last;
  assert.equal(socket.url,
    'wss://chat.example/base/ws?resume=1&token=wst_1');
  await socket.welcome();
  assert.deepEqual(socket.of('resume').map(({ epoch, cursors }) =>
    ({ epoch, cursors })), [{ epoch: 'e1', cursors: {} }]);
  assert.equal(ready, false);
  await socket.sync();
  assert.equal(ready, true);
  assert.deepEqual(states(chat), ['connecting', 'syncing', 'online']);
  assert.equal(chat.userId, 'alice');
  assert.equal(chat.sessionId, '0-1');
  assert.equal(chat.epoch, 'e1');
  assert.equal(chat.limits.content, 16384);
});

test('attempts that fail are repeated after growing pauses', async () => {
  const { chat, clock, Socket } = fakeClient();
  let tokens = 0;
  const options = { tokenProvider: async () => `wst_${++tokens}` };
  const other = fakeClient(options);
  other.chat.connect();
  await settle();
  const pauses = [];
  for (let i = 0; i < 9; i++) {
    other.Socket.last.drop();
    const { state, retryInMs, code } = other.chat.of('state').at(-1);
    assert.equal(state, 'waiting');
    assert.equal(code, 1006);
    pauses.push(retryInMs);
    const before = other.Socket.all.length;
    await other.clock.advance(retryInMs - 1);
    assert.equal(other.Socket.all.length, before);
    await other.clock.advance(1);
    assert.equal(other.Socket.all.length, before + 1);
  }
  assert.deepEqual(pauses,
    [375, 750, 1500, 3000, 6000, 12000, 22500, 22500, 22500]);
  // A token for each connection.
  assert.equal(tokens, 10);
  assert.match(other.Socket.last.url, /token=wst_10$/);
  await chat.close();
  assert.equal(clock.pending + Socket.all.length, 0);
});

test('a connection that held begins the pauses anew', async () => {
  const { chat, clock, Socket } = await onlineClient();
  const last = () => chat.of('state').at(-1).retryInMs;
  Socket.last.drop();
  await clock.advance(last());
  await Socket.last.welcome();
  await Socket.last.sync();
  Socket.last.drop();
  assert.equal(last(), 750);
  await clock.advance(750);
  await Socket.last.welcome();
  await Socket.last.sync();
  await clock.advance(5000);
  Socket.last.drop();
  assert.equal(last(), 375);
});

test('the pause that the server names at its end is kept', async () => {
  const { chat, clock, Socket, socket } = await onlineClient();
  socket.frame('server.shutdown', { reconnect_after_ms: 4321 });
  await clock.advance(321);
  socket.drop(1012, 'restart');
  assert.deepEqual(chat.of('state').at(-1).retryInMs, 4000);
  await clock.advance(4000);
  assert.equal(Socket.all.length, 2);
  // It holds for one end, not for the next.
  Socket.last.drop();
  assert.equal(chat.of('state').at(-1).retryInMs, 375);
});

test('codes that say so stop the client, connect begins again', async () => {
  for (const code of [1002, 1003, 1007, 1009, 4500, 4505]) {
    const { chat, clock, Socket } = fakeClient();
    const failed = chat.connect();
    await settle();
    await Socket.last.welcome();
    Socket.last.drop(code, 'a reason');
    await assert.rejects(failed, { name: 'ChatError', code: 'connection',
      closeCode: code, temporary: false });
    const event = chat.of('state').at(-1);
    assert.equal(event.state, 'stopped');
    assert.equal(event.code, code);
    assert.equal(event.error.closeCode, code);
    await clock.advance(3600_000);
    assert.equal(Socket.all.length, 1);
    const again = chat.connect();
    await settle();
    await Socket.last.welcome();
    await Socket.last.sync();
    await again;
    assert.equal(chat.state, 'online');
  }
});

test('codes that say so bring it back', async () => {
  for (const code of [1000, 1005, 1006, 1008, 1011, 1012, 4100, 4103, 4108,
    4499]) {
    const { chat, clock, Socket } = await onlineClient();
    Socket.last.drop(code);
    assert.equal(chat.state, 'waiting', code);
    await clock.advance(500);
    assert.equal(Socket.all.length, 2);
  }
});

test('a provider that fails is asked again, or not if it says so',
  async () => {
    let fail = new Error('no network');
    const { chat, clock, Socket } = fakeClient({
      tokenProvider: async () => {
        if (fail) throw fail;
        return 'wst_1';
      } });
    const connected = chat.connect();
    await settle();
    assert.equal(chat.state, 'waiting');
    assert.equal(chat.of('state').at(-1).error.code, 'no_token');
    fail = null;
    await clock.advance(500);
    assert.equal(Socket.all.length, 1);
    fail = Object.assign(new Error('signed out'), { permanent: true });
    Socket.last.drop();
    await clock.advance(1000);
    assert.equal(chat.state, 'stopped');
    await assert.rejects(connected, /signed out/);
  });

test('the pause that a refused token asks for is kept', async () => {
  const { chat } = fakeClient({ tokenProvider: async () => {
    throw new ChatError('rate_limit_exceeded', 'too fast',
      { temporary: true, retryAfterMs: 7000 });
  } });
  chat.connect();
  await settle();
  assert.equal(chat.of('state').at(-1).retryInMs, 7000);
});

test('a provider or a server that says nothing is given up', async () => {
  const { chat, clock, Socket } = fakeClient({
    tokenProvider: () => (Socket.all.length > 0 ? new Promise(() => {})
      : 'wst_1') });
  chat.connect();
  await settle();
  await clock.advance(14999);
  assert.equal(chat.state, 'connecting');
  await clock.advance(1);
  assert.equal(chat.state, 'waiting');
  assert.equal(Socket.last.closedWith, null);
  await clock.advance(375);
  assert.equal(chat.state, 'connecting');
  await clock.advance(15000);
  assert.equal(chat.state, 'waiting');
  assert.equal(Socket.all.length, 1);
});

test('a fixed single-use token serves one connection', async () => {
  const { chat, clock, Socket } = fakeClient({ tokenProvider: undefined,
    token: 'wst_once' });
  chat.connect();
  await settle();
  await Socket.last.welcome();
  await Socket.last.sync();
  Socket.last.drop();
  await clock.advance(500);
  assert.equal(chat.state, 'stopped');
  assert.equal(chat.of('state').at(-1).error.code, 'no_token');
});

test('a fixed JWT serves until it expires', async () => {
  const claims = (exp) => `h.${btoa(JSON.stringify({ exp }))}.s`;
  const { chat, clock, Socket } = fakeClient({ tokenProvider: undefined,
    token: claims(1000 + 20) });
  chat.connect();
  await settle();
  await Socket.last.welcome();
  await Socket.last.sync();
  Socket.last.drop(1012);
  await clock.advance(500);
  assert.equal(Socket.all.length, 2);
  await Socket.last.welcome();
  await Socket.last.sync();
  await clock.advance(20_000);
  Socket.last.drop(4103);
  await clock.advance(1000);
  assert.equal(chat.state, 'stopped');
  assert.equal(chat.of('state').at(-1).error.code, 'token_expired');
});

test('silence is answered by a ping, and no pong by a new connection',
  async () => {
    const { chat, clock, Socket, socket } = await onlineClient();
    await clock.advance(30_000);
    socket.message('r', 1);
    await clock.advance(37_400);
    assert.equal(socket.of('ping').length, 0);
    await clock.advance(100);
    assert.equal(socket.of('ping').length, 1);
    socket.frame('pong');
    await clock.advance(37_500);
    assert.equal(socket.of('ping').length, 2);
    await clock.advance(9_999);
    assert.equal(chat.state, 'online');
    await clock.advance(1);
    assert.equal(chat.state, 'waiting');
    assert.equal(chat.of('state').at(-1).code, 1006);
    // What a dead connection says later is of no interest.
    socket.message('r', 2);
    socket.drop(4505);
    await clock.advance(500);
    assert.equal(Socket.all.length, 2);
    assert.equal(chat.of('message').length, 1);
  });

test('pings follow the heartbeat of the server', async () => {
  const { clock, Socket, chat } = fakeClient();
  chat.connect();
  await settle();
  await Socket.last.welcome({ heartbeat_ms: 2000 });
  await Socket.last.sync();
  await clock.advance(3000);
  assert.equal(Socket.last.of('ping').length, 1);
});

test('the browser says that it is offline and online', async () => {
  const events = new EventTarget();
  const { chat, clock, Socket, socket } = await onlineClient({ events });
  events.dispatchEvent(new Event('online'));
  assert.equal(socket.of('ping').length, 1);
  events.dispatchEvent(new Event('offline'));
  assert.equal(chat.state, 'offline');
  assert.equal(socket.closedWith, null);
  await clock.advance(10_000);
  assert.equal(Socket.all.length, 1);
  events.dispatchEvent(new Event('online'));
  await settle();
  assert.equal(Socket.all.length, 2);
  await Socket.last.welcome();
  await Socket.last.sync();
  assert.equal(chat.state, 'online');
  // It may be wrong: without an event a try is made after the longest pause.
  events.dispatchEvent(new Event('offline'));
  await clock.advance(30_000);
  assert.equal(Socket.all.length, 3);
  await chat.close();
  events.dispatchEvent(new Event('online'));
  events.dispatchEvent(new Event('offline'));
  await clock.advance(60_000);
  assert.equal(Socket.all.length, 3);
  assert.equal(chat.state, 'closed');
});

test('a waiting client comes back at once when the browser is online',
  async () => {
    const events = new EventTarget();
    const { chat, Socket } = await onlineClient({ events });
    Socket.last.drop();
    assert.equal(chat.state, 'waiting');
    events.dispatchEvent(new Event('online'));
    await settle();
    assert.equal(Socket.all.length, 2);
  });

test('close ends it for good', async () => {
  const { chat, clock, Socket, socket } = await onlineClient();
  const sent = chat.send('r', 'Hello');
  await chat.close();
  await assert.rejects(sent, { code: 'closed' });
  assert.equal(socket.closedWith, 1000);
  assert.equal(chat.state, 'closed');
  const heard = chat.log.length;
  socket.message('r', 1);
  socket.drop(1000);
  await clock.advance(3600_000);
  assert.equal(chat.log.length, heard);
  assert.equal(Socket.all.length, 1);
  assert.equal(clock.pending, 0);
  await assert.rejects(chat.connect(), { code: 'closed' });
  await assert.rejects(chat.send('r', 'x'), { code: 'closed' });
  await assert.rejects(chat.ackNotification('n'), { code: 'closed' });
  chat.ack('r', 1);
  chat.typing('r');
  await chat.close();
});

test('close before the connection stands rejects connect', async () => {
  const { chat, clock } = fakeClient({ tokenProvider: () =>
    new Promise(() => {}) });
  const connected = chat.connect();
  await settle();
  await chat.close();
  await assert.rejects(connected, { code: 'closed' });
  assert.equal(clock.pending, 0);
});

test('the token of another user stops the client', async () => {
  const { chat, clock, Socket } = await onlineClient();
  Socket.last.drop();
  await clock.advance(500);
  await Socket.last.welcome({ user_id: 'mallory' });
  assert.equal(chat.state, 'stopped');
  assert.equal(chat.of('state').at(-1).error.code, 'user_changed');
  assert.equal(Socket.last.of('resume').length, 0);
});

test('options that cannot work are refused at once', () => {
  const url = 'http://a.example';
  const WebSocket = class {};
  assert.throws(() => new ChatClient({ url, WebSocket }), /tokenProvider/);
  assert.throws(() => new ChatClient({ url: 'x', token: 't', WebSocket }),
    TypeError);
  assert.throws(() => new ChatClient(), TypeError);
  if (!globalThis.WebSocket) {
    assert.throws(() => new ChatClient({ url, token: 't' }), /package ws/);
  }
});
