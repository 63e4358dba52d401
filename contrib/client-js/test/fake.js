// SPDX-License-Identifier: MIT
// A clock that is moved by hand, and WebSockets whose server is the test.
import { ChatClient } from 'chatapi-client';

export class FakeClock {
  time = 1_000_000;
  #timers = new Map();
  #next = 1;

  now = () => this.time;

  setTimeout = (f, ms) => {
    const id = this.#next++;
    this.#timers.set(id, { f, at: this.time + Math.max(0, ms) });
    return id;
  };

  clearTimeout = (id) => void this.#timers.delete(id);

  get pending() {
    return this.#timers.size;
  }

  /** Moves on, runs what falls due in order, lets promises settle. */
  async advance(ms) {
    const end = this.time + ms;
    await settle();
    for (;;) {
      const due = [...this.#timers].filter(([, t]) => t.at <= end)
        .sort(([a, x], [b, y]) => x.at - y.at || a - b)[0];
      if (!due) break;
      this.#timers.delete(due[0]);
      this.time = due[1].at;
      due[1].f();
      await settle();
    }
    this.time = end;
  }
}

/** Until every promise that can has been settled. */
export async function settle() {
  for (let i = 0; i < 20; i++) await Promise.resolve();
  await new Promise((done) => setImmediate(done));
}

export function fakeSockets() {
  return class FakeSocket {
    static all = [];
    static get last() {
      return this.all.at(-1);
    }

    readyState = 0;
    sent = [];

    constructor(url) {
      this.url = url;
      FakeSocket.all.push(this);
    }

    send(text) {
      this.sent.push(JSON.parse(text));
    }

    close(code) {
      this.closedWith = code ?? null;
      this.readyState = 3;
    }

    // ---- the server's side ----

    of(type) {
      return this.sent.filter((frame) => frame.type === type);
    }

    frame(type, fields = {}) {
      this.onmessage?.({ data: JSON.stringify({ type, ...fields }) });
    }

    drop(code = 1006, reason = '') {
      this.readyState = 3;
      this.onclose?.({ code, reason });
    }

    async welcome(fields = {}) {
      this.readyState = 1;
      this.onopen?.({});
      this.frame('welcome', { session_id: '0-1', user_id: 'alice',
        epoch: 'e1', server_time: '', heartbeat_ms: 25000,
        limits: { frame: 65536, content: 16384, meta: 16384, rate: 100 },
        ...fields });
      await settle();
    }

    /** Answers the resume; heads as {room: [seq, rev]}. */
    async sync(heads = {}) {
      const out = {};
      for (const [room, [seq, rev]] of Object.entries(heads)) {
        out[room] = { seq, rev };
      }
      this.frame('sync.complete', { heads: out,
        request_id: this.of('resume').at(-1)?.request_id });
      await settle();
    }

    /** Message number seq of a room. */
    message(room, seq, more = {}) {
      this.frame('message', { room_id: room, message_id: `msg_${seq}`, seq,
        sender_id: 'bob', content: `number ${seq}`, created_at: '', ...more });
    }

    /** Answers the send_message that was sent last. */
    stored(seq, more = {}) {
      const frame = this.of('send_message').at(-1);
      this.frame('message.sent', { request_id: frame.request_id,
        room_id: frame.room_id, client_msg_id: frame.client_msg_id,
        message_id: `msg_${seq}`, seq, created_at: '', duplicate: false,
        ...more });
    }
  };
}

/** A client of which everything is in the test's hands. */
export function fakeClient(options = {}) {
  const clock = new FakeClock();
  const Socket = fakeSockets();
  let id = 0;
  const chat = new ChatClient({
    url: 'https://chat.example/base/',
    tokenProvider: async () => 'wst_1',
    WebSocket: Socket,
    clock,
    random: () => 0.5,
    uuid: () => `id-${++id}`,
    persistInterval: 0,
    ...options,
  });
  chat.log = [];
  for (const event of ['message', 'failed', 'edited', 'deleted', 'typing',
    'presence', 'notification', 'sync', 'gap', 'resync', 'state', 'error',
    'room.joined', 'room.left']) {
    chat.on(event, (value) => chat.log.push([event, value]));
  }
  chat.of = (event) => chat.log.filter(([e]) => e === event)
    .map(([, value]) => value);
  return { chat, clock, Socket };
}

/** One that is connected and has caught up. */
export async function onlineClient(options, heads) {
  const all = fakeClient(options);
  all.chat.connect();
  await settle();
  await all.Socket.last.welcome();
  await all.Socket.last.sync(heads);
  return { ...all, socket: all.Socket.last };
}
