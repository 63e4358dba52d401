// SPDX-License-Identifier: MIT
// What goes over a connection, and over the next one after a break; with a
// clock and sockets that the test moves.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ChatError, memoryStorage } from 'chatapi-client';
import { fakeClient, onlineClient, settle } from './fake.js';

/** Breaks the connection and makes another. */
async function again({ chat, clock, Socket }, heads) {
  Socket.last.drop();
  await clock.advance(30_000);
  await Socket.last.welcome();
  if (heads) await Socket.last.sync(heads);
  return Socket.last;
}

const seqs = (chat) => chat.of('message').filter((m) => !m.pending)
  .map((m) => m.seq);

test('a message is sent, echoed, stored and confirmed', async () => {
  const { chat, socket } = await onlineClient();
  const sent = chat.send('r', 'Hello', { meta: { a: 1 } });
  assert.deepEqual(socket.of('send_message').map(({ request_id, ...f }) => f),
    [{ type: 'send_message', room_id: 'r', content: 'Hello',
      client_msg_id: 'id-1', meta: { a: 1 } }]);
  assert.deepEqual(chat.of('message'), [{ room_id: 'r', content: 'Hello',
    client_msg_id: 'id-1', meta: { a: 1 }, message_id: null, seq: null,
    sender_id: 'alice', created_at: '1970-01-01T00:16:40.000Z',
    pending: true }]);
  socket.message('r', 1, { sender_id: 'alice', content: 'Hello',
    client_msg_id: 'id-1' });
  socket.stored(1);
  assert.deepEqual(await sent, { message_id: 'msg_1', room_id: 'r', seq: 1,
    created_at: '', duplicate: false, client_msg_id: 'id-1' });
  const confirmed = chat.of('message').at(-1);
  assert.equal(confirmed.pending, false);
  assert.equal(confirmed.client_msg_id, 'id-1');
  assert.equal('type' in confirmed, false);
});

test('what was not answered is sent again with the same id', async () => {
  const all = await onlineClient();
  const sent = all.chat.send('r', 'Hello');
  let socket = await again(all);
  assert.equal(socket.of('send_message')[0].client_msg_id, 'id-1');
  socket = await again(all);
  // Behind the resume, so that it cannot come too late.
  assert.deepEqual(socket.sent.map((f) => f.type),
    ['resume', 'send_message']);
  socket.stored(1, { duplicate: true });
  assert.equal((await sent).duplicate, true);
  assert.equal(all.chat.of('message').length, 1);
  socket = await again(all, {});
  assert.equal(socket.of('send_message').length, 0);
});

test('messages sent before there is a connection wait for it', async () => {
  const { chat, Socket } = fakeClient();
  const sent = [chat.send('r', 'one'), chat.send('q', 'two')];
  chat.connect();
  await settle();
  await Socket.last.welcome();
  assert.deepEqual(Socket.last.of('send_message').map((f) => f.content),
    ['one', 'two']);
  for (const frame of Socket.last.of('send_message')) {
    Socket.last.frame('message.sent', { ...frame, type: 'message.sent',
      message_id: 'm', seq: 1, created_at: '', duplicate: false });
  }
  await Promise.all(sent);
});

test('messages of a room go one at a time, rooms side by side', async () => {
  const { chat, socket } = await onlineClient();
  chat.send('r', 'one');
  chat.send('r', 'two');
  chat.send('q', 'three');
  assert.deepEqual(socket.of('send_message').map((f) => f.content),
    ['one', 'three']);
  const [first] = socket.of('send_message');
  socket.frame('message.sent', { request_id: first.request_id, room_id: 'r',
    message_id: 'm', seq: 1, created_at: '', duplicate: false });
  assert.deepEqual(socket.of('send_message').map((f) => f.content),
    ['one', 'three', 'two']);
});

test('a refusal for a time is waited out, in order', async () => {
  const { chat, clock, socket } = await onlineClient();
  const sent = [chat.send('r', 'one'), chat.send('r', 'two')];
  const refuse = (more) => socket.frame('error', {
    request_id: socket.of('send_message').at(-1).request_id,
    code: 'rate_limit_exceeded', message: 'slowly', temporary: true, ...more });
  refuse({ retry_after_ms: 700 });
  chat.send('q', 'three').catch(() => {});
  await clock.advance(699);
  assert.equal(socket.of('send_message').length, 1);
  await clock.advance(1);
  assert.deepEqual(socket.of('send_message').slice(1)
    .map((f) => [f.content, f.client_msg_id]),
  [['one', 'id-1'], ['three', 'id-3']]);
  // Without a time to wait the pauses grow by themselves.
  const [, one, three] = socket.of('send_message');
  socket.frame('message.sent', { request_id: three.request_id });
  socket.frame('error', { request_id: one.request_id, code: 'unavailable',
    message: 'no', temporary: true });
  await clock.advance(375);
  const repeated = socket.of('send_message').at(-1);
  assert.equal(repeated.client_msg_id, 'id-1');
  socket.frame('message.sent', { request_id: repeated.request_id, seq: 1 });
  socket.stored(2);
  assert.deepEqual((await Promise.all(sent)).map((s) => s.seq), [1, 2]);
  assert.deepEqual(chat.of('error'), []);
});

test('a refusal for good rejects, and what follows is sent', async () => {
  const { chat, socket } = await onlineClient();
  const one = chat.send('r', 'one');
  const two = chat.send('r', 'two');
  socket.frame('error', { request_id: socket.of('send_message')[0].request_id,
    code: 'forbidden', message: 'no member', temporary: false });
  await assert.rejects(one, (error) => error instanceof ChatError &&
    error.code === 'forbidden' && !error.temporary);
  const [failed] = chat.of('failed');
  assert.equal(failed.client_msg_id, 'id-1');
  assert.equal(failed.room_id, 'r');
  assert.equal(failed.error.code, 'forbidden');
  socket.stored(1);
  assert.equal((await two).seq, 1);
});

test('what no frame can hold is refused here', async () => {
  const { chat, socket } = await onlineClient();
  await assert.rejects(chat.send('r', 'ä'.repeat(33000)),
    { code: 'payload_too_large' });
  const circle = {};
  circle.circle = circle;
  await assert.rejects(chat.send('r', 'x', { meta: circle }),
    { code: 'invalid_request' });
  assert.equal(socket.of('send_message').length, 0);
  assert.equal(chat.of('failed').length, 2);
});

test('a connection that answers pings and no message is given up',
  async () => {
    const { chat, clock, Socket, socket } = await onlineClient();
    chat.send('r', 'Hello').catch(() => {});
    for (let i = 0; i < 29; i++) {
      await clock.advance(1000);
      socket.frame('pong');
    }
    assert.equal(chat.state, 'online');
    await clock.advance(1000);
    assert.equal(chat.state, 'waiting');
    await clock.advance(500);
    await Socket.last.welcome();
    assert.equal(Socket.last.of('send_message').length, 1);
  });

test('a new connection resumes where this one stood', async () => {
  const all = await onlineClient({}, { q: [5, 2] });
  const { chat, socket } = all;
  socket.message('r', 8);
  socket.message('r', 9);
  socket.message('q', 6);
  socket.frame('message.edited', { room_id: 'q', message_id: 'm', seq: 1,
    rev: 3, sender_id: 'bob', content: 'x', edited_at: '' });
  const next = await again(all);
  assert.deepEqual(next.of('resume')[0].cursors,
    { r: { seq: 9, rev: 0 }, q: { seq: 6, rev: 3 } });
  // What is sent again is not told again.
  next.message('r', 9);
  next.message('r', 10);
  next.frame('message.edited', { room_id: 'q', message_id: 'm', seq: 1,
    rev: 3, sender_id: 'bob', content: 'x', edited_at: '' });
  next.frame('message.deleted', { room_id: 'q', message_id: 'm', seq: 1,
    rev: 4 });
  await next.sync({ r: [10, 0], q: [6, 4] });
  assert.deepEqual(seqs(chat), [8, 9, 6, 10]);
  assert.equal(chat.of('edited').length, 1);
  assert.deepEqual(chat.of('deleted'),
    [{ room_id: 'q', message_id: 'm', seq: 1, rev: 4 }]);
  assert.deepEqual(chat.cursors(), { epoch: 'e1',
    rooms: { r: { seq: 10, rev: 0 }, q: { seq: 6, rev: 4 } } });
});

test('a message out of turn is held back until the room is whole',
  async () => {
    const { chat, socket } = await onlineClient();
    socket.message('r', 1);
    socket.message('r', 3);
    socket.message('r', 4);
    assert.deepEqual(socket.of('subscribe').map(({ request_id, ...f }) => f),
      [{ type: 'subscribe', room_id: 'r', after_seq: 1, rev: 0 }]);
    for (const seq of [2, 3, 4]) socket.message('r', seq);
    socket.frame('sync.complete', { heads: { r: { seq: 4, rev: 0 } },
      request_id: socket.of('subscribe')[0].request_id });
    socket.message('r', 5);
    assert.deepEqual(seqs(chat), [1, 2, 3, 4, 5]);
    // Of this sync the program needs not know.
    assert.equal(chat.of('sync').length, 1);
  });

test('a gap is told and goes on behind it', async () => {
  const { chat, socket } = await onlineClient({}, { r: [2, 0] });
  socket.frame('sync.gap', { room_id: 'r', from: 3, to: 7,
    reason: 'retention' });
  socket.message('r', 8);
  assert.deepEqual(chat.of('gap'),
    [{ room_id: 'r', from: 3, to: 7, reason: 'retention' }]);
  assert.deepEqual(seqs(chat), [8]);
});

test('a room that was left and joined again starts anew', async () => {
  const { chat, socket } = await onlineClient({}, { r: [2, 0] });
  socket.frame('room.left', { room_id: 'r' });
  assert.deepEqual(chat.cursors().rooms, {});
  socket.frame('room.joined', { room_id: 'r', room: { room_id: 'r' } });
  socket.message('r', 9);
  assert.deepEqual(seqs(chat), [9]);
  assert.deepEqual(chat.of('room.left'), [{ room_id: 'r' }]);
  assert.deepEqual(chat.of('room.joined'),
    [{ room_id: 'r', room: { room_id: 'r' } }]);
});

test('a restored database voids what was kept', async () => {
  const storage = memoryStorage();
  const all = await onlineClient({ storage }, { r: [20, 1] });
  all.Socket.last.drop();
  await all.clock.advance(500);
  const socket = all.Socket.last;
  await socket.welcome({ epoch: 'e2' });
  const [resume] = socket.of('resume');
  assert.equal(resume.epoch, 'e1');
  socket.frame('error', { request_id: resume.request_id,
    code: 'resync_required', message: 'restored', temporary: false });
  socket.message('r', 4);
  socket.frame('sync.complete', { heads: { r: { seq: 4, rev: 0 } } });
  assert.deepEqual(all.chat.of('resync'), [{ epoch: 'e2' }]);
  assert.deepEqual(seqs(all.chat), [4]);
  assert.equal(all.chat.state, 'online');
  assert.deepEqual(all.chat.cursors(),
    { epoch: 'e2', rooms: { r: { seq: 4, rev: 0 } } });
  assert.deepEqual(all.chat.of('error'), []);
});

test('a resume that is refused for a time is tried again', async () => {
  const { chat, clock, Socket } = fakeClient();
  chat.connect();
  await settle();
  await Socket.last.welcome();
  Socket.last.frame('error', { code: 'rate_limit_exceeded', message: 'no',
    request_id: Socket.last.of('resume')[0].request_id, temporary: true,
    retry_after_ms: 200 });
  await clock.advance(200);
  assert.equal(Socket.last.of('resume').length, 2);
  await Socket.last.sync();
  assert.equal(chat.state, 'online');
});

test('cursors are kept for each server, user and device', async () => {
  const storage = memoryStorage();
  const keys = new Map();
  const spy = { get: (k) => storage.get(k), remove: (k) => storage.remove(k),
    set: (k, v) => {
      keys.set(k, JSON.parse(v));
      storage.set(k, v);
    } };
  const { chat, socket } = await onlineClient({ storage: spy });
  socket.message('r', 1);
  await chat.close();
  const key = 'chatapi:https://chat.example/base|alice|default';
  assert.deepEqual([...keys], [[key, { epoch: 'e1',
    rooms: { r: { seq: 1 } } }]]);
  // A page that is loaded again.
  const next = fakeClient({ storage: spy });
  next.chat.connect();
  await settle();
  await next.Socket.last.welcome();
  assert.deepEqual(next.Socket.last.of('resume')[0].cursors,
    { r: { seq: 1, rev: 0 } });
  next.Socket.last.message('r', 1);
  next.Socket.last.message('r', 2);
  assert.deepEqual(seqs(next.chat), [2]);
  // Another device of the same user has seen nothing yet.
  const other = fakeClient({ storage: spy, deviceId: 'phone' });
  other.chat.connect();
  await settle();
  await other.Socket.last.welcome();
  assert.deepEqual(other.Socket.last.of('resume')[0].cursors, {});
});

test('two pages with one storage do not set each other back', async () => {
  const storage = memoryStorage();
  const a = await onlineClient({ storage });
  const b = await onlineClient({ storage });
  for (const seq of [1, 2, 3]) a.socket.message('r', seq);
  b.socket.message('r', 1);
  b.socket.message('q', 7);
  await a.chat.close();
  await b.chat.close();
  const next = fakeClient({ storage });
  next.chat.connect();
  await settle();
  await next.Socket.last.welcome();
  assert.deepEqual(next.Socket.last.of('resume')[0].cursors,
    { r: { seq: 3, rev: 0 }, q: { seq: 7, rev: 0 } });
});

test('writes to the storage are spared, and one at a time', async () => {
  const kept = [];
  let finish = null;
  const storage = {
    get: async () => kept.at(-1) ?? null,
    set: (key, value) => new Promise((done) => {
      assert.equal(finish, null);
      finish = () => {
        finish = null;
        kept.push(value);
        done();
      };
    }),
    remove: async () => {},
  };
  const { chat, clock, socket } = await onlineClient({ storage,
    persistInterval: 200 });
  const last = () => JSON.parse(kept.at(-1)).rooms.r.seq;
  for (let seq = 1; seq <= 100; seq++) socket.message('r', seq);
  await clock.advance(200);
  // While this is being written more comes, and the end.
  socket.message('r', 101);
  await clock.advance(200);
  socket.message('r', 102);
  const closed = chat.close();
  await settle();
  assert.equal(kept.length, 0);
  finish();
  await settle();
  assert.equal(last(), 100);
  finish();
  await closed;
  assert.equal(kept.length, 2);
  assert.equal(last(), 102);
});

test('a storage that fails is told and does no harm', async () => {
  const broken = () => {
    throw new Error('no room');
  };
  for (const fail of [broken, async () => broken()]) {
    const { chat, socket } = await onlineClient({
      storage: { get: fail, set: fail, remove: fail } });
    socket.message('r', 1);
    await settle();
    assert.deepEqual(seqs(chat), [1]);
    assert.equal(chat.of('error')[0].code, 'storage');
    assert.match(chat.of('error')[0].message, /no room/);
    await chat.close();
  }
});

test('acks go in batches, the latest of each room', async () => {
  const all = await onlineClient();
  const { chat, clock, socket } = all;
  for (const seq of [1, 2, 3]) chat.ack('r', seq);
  chat.ack('q', 9);
  chat.ack('r', 2);
  await clock.advance(499);
  assert.equal(socket.of('ack').length, 0);
  await clock.advance(1);
  const acks = (s) => s.of('ack').map((f) => [f.room_id, f.seq]);
  assert.deepEqual(acks(socket), [['r', 3], ['q', 9]]);
  socket.frame('ack.received', { request_id: socket.of('ack')[0].request_id,
    room_id: 'r', seq: 3, user_id: 'alice' });
  assert.deepEqual(chat.of('error'), []);
  // Only what was not confirmed goes again.
  const next = await again(all, {});
  await clock.advance(500);
  assert.deepEqual(acks(next), [['q', 9]]);
  next.frame('error', { request_id: next.of('ack')[0].request_id,
    code: 'rate_limit_exceeded', message: '', temporary: true,
    retry_after_ms: 100 });
  await clock.advance(100);
  assert.equal(next.of('ack').length, 2);
  next.frame('error', { request_id: next.of('ack')[1].request_id,
    code: 'forbidden', message: '', temporary: false });
  await clock.advance(5000);
  assert.equal(next.of('ack').length, 2);
  assert.equal(chat.of('error')[0].code, 'forbidden');
  chat.ack('r', 3);
  await clock.advance(1000);
  assert.equal(next.of('ack').length, 2);
  assert.throws(() => chat.ack('r', '3'), TypeError);
});

test('close sends the last acks first', async () => {
  const { chat, socket } = await onlineClient();
  chat.ack('r', 4);
  await chat.close();
  assert.equal(socket.of('ack')[0].seq, 4);
});

test('typing is told now and then and ends by itself', async () => {
  const { chat, clock, socket } = await onlineClient();
  const told = () => socket.sent.filter((f) => f.type.startsWith('typing'))
    .map((f) => f.type.slice(7));
  for (let i = 0; i < 8; i++) {
    chat.typing('r');
    await clock.advance(500);
  }
  assert.deepEqual(told(), ['start', 'start']);
  await clock.advance(4499);
  assert.deepEqual(told(), ['start', 'start']);
  await clock.advance(1);
  assert.deepEqual(told(), ['start', 'start', 'stop']);
  chat.typing('r');
  chat.send('r', 'done').catch(() => {});
  assert.deepEqual(told().slice(3), ['start', 'stop']);
  assert.equal(socket.sent.at(-1).type, 'send_message');
  await chat.close();
  assert.equal(clock.pending, 0);
});

test('who types is known until he stops, sends, or is not heard of',
  async () => {
    const all = await onlineClient();
    const { chat, clock, socket } = all;
    const type = (user_id, action = 'start') => socket.frame('typing',
      { room_id: 'r', user_id, action });
    const told = () => chat.of('typing').map((t) => [t.user_id, t.action]);
    type('bob');
    type('carol');
    type('bob');
    type('dave');
    assert.deepEqual(chat.typingIn('r'), ['bob', 'carol', 'dave']);
    type('carol', 'stop');
    type('carol', 'stop');
    socket.message('r', 1);
    assert.deepEqual(chat.typingIn('r'), ['dave']);
    await clock.advance(12_000);
    assert.deepEqual(chat.typingIn('r'), []);
    type('erin');
    socket.drop();
    assert.deepEqual(told(), [['bob', 'start'], ['carol', 'start'],
      ['dave', 'start'], ['carol', 'stop'], ['bob', 'stop'],
      ['dave', 'stop'], ['erin', 'start'], ['erin', 'stop']]);
  });

test('presence tells changes only, over a break too', async () => {
  const all = await onlineClient();
  const { chat, socket } = all;
  const say = (s, user_id, status) => s.frame('presence.update',
    { user_id, status });
  say(socket, 'bob', 'online');
  say(socket, 'carol', 'online');
  say(socket, 'carol', 'online');
  say(socket, 'dave', 'offline');
  assert.equal(chat.isOnline('bob'), true);
  assert.equal(chat.isOnline('dave'), false);
  const next = await again(all);
  say(next, 'bob', 'online');
  say(next, 'erin', 'online');
  assert.equal(chat.isOnline('carol'), true);
  await next.sync();
  assert.deepEqual(chat.of('presence').map((p) => [p.user_id, p.status]),
    [['bob', 'online'], ['carol', 'online'], ['erin', 'online'],
      ['carol', 'offline']]);
  assert.deepEqual([...chat.presence], [['bob', 'online'],
    ['carol', 'offline'], ['erin', 'online']]);
});

test('a notification is told once and acknowledged for certain', async () => {
  const all = await onlineClient();
  const { chat, socket } = all;
  const note = { notification_id: 'ntf_1', topic: 't', payload: { a: 1 },
    created_at: '' };
  socket.frame('notification', note);
  let done = 0;
  const acked = chat.ackNotification('ntf_1').then(() => done++);
  assert.equal(socket.of('notification.ack')[0].notification_id, 'ntf_1');
  const next = await again(all);
  next.frame('notification', note);
  assert.deepEqual(chat.of('notification'), [note]);
  assert.equal(done, 0);
  next.frame('ok', { request_id: next.of('notification.ack')[0].request_id });
  await acked;
  // Another device was faster: it is done.
  const other = chat.ackNotification('ntf_2');
  next.frame('error', { request_id: next.of('notification.ack')[1].request_id,
    code: 'not_found', message: '', temporary: false });
  await other;
});

test('a handler that throws is reported and disturbs nobody', async () => {
  const reported = [];
  const saved = Object.getOwnPropertyDescriptor(globalThis, 'reportError');
  Object.defineProperty(globalThis, 'reportError',
    { value: (error) => reported.push(error.message), configurable: true });
  try {
    const { chat, socket } = await onlineClient();
    const heard = [];
    chat.on('message', () => {
      throw new Error('mine');
    });
    const stop = chat.on('message', (m) => heard.push(m.seq));
    chat.once('message', (m) => heard.push(-m.seq));
    socket.message('r', 1);
    socket.message('r', 2);
    stop();
    socket.message('r', 3);
    assert.deepEqual(heard, [1, -1, 2]);
    assert.deepEqual(reported, ['mine', 'mine', 'mine']);
    assert.deepEqual(chat.cursors().rooms.r, { seq: 3, rev: 0 });
    assert.throws(() => chat.on('message'), TypeError);
  } finally {
    if (saved) Object.defineProperty(globalThis, 'reportError', saved);
    else delete globalThis.reportError;
  }
});

test('nonsense from the other side is not taken', async () => {
  const { chat, socket } = await onlineClient();
  for (const data of ['{', 'null', '[]', '7', '{"type":7}',
    '{"type":"of the future","a":1}']) {
    socket.onmessage({ data });
  }
  socket.message('r', 1);
  assert.deepEqual(seqs(chat), [1]);
  assert.equal(chat.state, 'online');
});

test('an error frame that answers nothing is told', async () => {
  const { chat, socket } = await onlineClient();
  socket.frame('error', { code: 'invalid_request', message: 'what?',
    temporary: false });
  assert.deepEqual(chat.of('error').map((e) => [e.code, e.message]),
    [['invalid_request', 'what?']]);
});
