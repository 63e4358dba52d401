// SPDX-License-Identifier: MIT
// Who is online and who types, as far as this connection was told; and what
// the server is told of this user's typing.

// A typist who is never stopped ends after 10 s at the server.
const TYPING_ENDS = 12000;
// A start repeated sooner is not passed on.
const TYPING_REPEAT = 3000;

export class Presence {
  map = new Map();
  #named = null;
  #emit;

  constructor(emit) {
    this.#emit = emit;
  }

  /** A new connection names everybody who is online, and then syncs. */
  connected() {
    this.#named = new Set();
  }

  update({ user_id: user, status }) {
    if (status === 'online') this.#named?.add(user);
    else this.#named?.delete(user);
    this.#set(user, status);
  }

  synced() {
    const named = this.#named;
    this.#named = null;
    if (named === null) return;
    for (const [user, status] of [...this.map]) {
      if (status === 'online' && !named.has(user)) this.#set(user, 'offline');
    }
  }

  #set(user, status) {
    if ((this.map.get(user) ?? 'offline') === status) return;
    this.map.set(user, status);
    this.#emit('presence', { user_id: user, status });
  }
}

export class Typists {
  #rooms = new Map();
  #emit;
  #clock;

  constructor(emit, clock) {
    this.#emit = emit;
    this.#clock = clock;
  }

  update({ room_id: room, user_id: user, action }) {
    if (action === 'stop') {
      this.#stop(room, user);
      return;
    }
    if (!this.#rooms.has(room)) this.#rooms.set(room, new Map());
    const typists = this.#rooms.get(room);
    const known = typists.has(user);
    this.#clock.clearTimeout(typists.get(user));
    typists.set(user, this.#clock.setTimeout(() => this.#stop(room, user),
      TYPING_ENDS));
    if (!known) {
      this.#emit('typing', { room_id: room, user_id: user, action: 'start' });
    }
  }

  #stop(room, user) {
    const typists = this.#rooms.get(room);
    if (!typists?.has(user)) return;
    this.#clock.clearTimeout(typists.get(user));
    typists.delete(user);
    if (typists.size === 0) this.#rooms.delete(room);
    this.#emit('typing', { room_id: room, user_id: user, action: 'stop' });
  }

  in(room) {
    return [...(this.#rooms.get(room)?.keys() ?? [])];
  }

  /** Who stops while there is no connection is not heard of. */
  clear(room) {
    for (const user of this.in(room)) this.#stop(room, user);
  }

  clearAll() {
    for (const room of [...this.#rooms.keys()]) this.clear(room);
  }
}

export class OwnTyping {
  #rooms = new Map();
  #clock;
  #timeout;
  #send;

  /** send(frame): at once or never. */
  constructor({ clock, timeout, send }) {
    this.#clock = clock;
    this.#timeout = timeout;
    this.#send = send;
  }

  type(room) {
    const own = this.#rooms.get(room) ?? { told: null, timer: null };
    this.#rooms.set(room, own);
    const now = this.#clock.now();
    if (own.told === null || now - own.told >= TYPING_REPEAT) {
      own.told = now;
      this.#send({ type: 'typing.start', room_id: room });
    }
    this.#clock.clearTimeout(own.timer);
    own.timer = this.#clock.setTimeout(() => this.stop(room), this.#timeout);
  }

  stop(room) {
    const own = this.#rooms.get(room);
    if (!own) return;
    this.#clock.clearTimeout(own.timer);
    this.#rooms.delete(room);
    this.#send({ type: 'typing.stop', room_id: room });
  }

  clear() {
    for (const own of this.#rooms.values()) {
      this.#clock.clearTimeout(own.timer);
    }
    this.#rooms.clear();
  }
}
