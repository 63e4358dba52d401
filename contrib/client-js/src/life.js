// SPDX-License-Identifier: MIT
// The states of a client: when it opens a connection, when it comes back
// after one has ended, and when it does not.
import { backoffDelay, closeAction } from './backoff.js';
import { Connection } from './connection.js';
import { ChatError, closedError } from './errors.js';

// A connection that lived so long after its sync begins the backoff anew.
const STABLE = 5000;

function deferred() {
  const out = {};
  out.promise = new Promise((resolve, reject) => {
    out.resolve = resolve;
    out.reject = reject;
  });
  // Who doesn't look at it is told by the event `state`.
  out.promise.catch(() => {});
  return out;
}

function asError(error) {
  if (error instanceof ChatError) return error;
  const out = new ChatError('no_token', `No token: ${error?.message ?? error}`,
    { temporary: true, cause: error });
  out.permanent = error?.permanent === true;
  return out;
}

export class Life {
  state = 'idle';
  conn = null;
  #o;
  #clock;
  #ready = null;
  // Which attempt counts; what belongs to an earlier one is ignored.
  #turn = 0;
  #attempts = 0;
  #opening = null;
  #retry = null;
  #syncedAt = null;
  #shutdownAt = null;
  #online = () => this.#cameOnline();
  #offline = () => this.#wentOffline();

  /** options: clock, random, backoff, connectTimeout, pongTimeout,
   * WebSocket, events; address() promises a URL; frame(frame, conn);
   * down(): the connection is gone; changed(event). */
  constructor(options) {
    this.#o = options;
    this.#clock = options.clock;
  }

  start() {
    if (this.state === 'closed') return Promise.reject(closedError());
    if (this.#ready) return this.#ready.promise;
    const ready = deferred();
    this.#ready = ready;
    this.#attempts = 0;
    this.#o.events?.addEventListener('online', this.#online);
    this.#o.events?.addEventListener('offline', this.#offline);
    this.#try();
    return ready.promise;
  }

  /** The first frame has come. */
  welcomed() {
    this.#clock.clearTimeout(this.#opening);
    this.#set('syncing');
  }

  synced() {
    this.#syncedAt = this.#clock.now();
    this.#set('online');
  }

  /** After the event `sync`, so that who awaits connect() has seen it. */
  ready() {
    this.#ready?.resolve();
  }

  shutdown(ms) {
    if (ms >= 0) this.#shutdownAt = this.#clock.now() + ms;
  }

  close() {
    if (this.state === 'closed') return;
    this.conn?.close();
    this.#leave();
    this.#ready?.reject(closedError());
    this.#set('closed');
  }

  /** Ends for an error after which coming back would be of no use. */
  halt(error, code) {
    this.conn?.close();
    this.#leave();
    this.#ready?.reject(error);
    this.#ready = null;
    this.#set('stopped', { error, code });
  }

  #leave() {
    this.#drop();
    this.#clock.clearTimeout(this.#retry);
    this.#o.events?.removeEventListener('online', this.#online);
    this.#o.events?.removeEventListener('offline', this.#offline);
  }

  #set(state, more = {}) {
    const previous = this.state;
    this.state = state;
    const event = { state, previous };
    for (const [name, value] of Object.entries(more)) {
      if (value !== undefined) event[name] = value;
    }
    this.#o.changed(event);
  }

  /** Nothing of the present attempt or connection counts any more. */
  #drop() {
    this.#turn++;
    this.#clock.clearTimeout(this.#opening);
    this.conn = null;
    this.#o.down();
  }

  async #try() {
    this.#clock.clearTimeout(this.#retry);
    const turn = ++this.#turn;
    this.#opening = this.#clock.setTimeout(() => this.#late(turn),
      this.#o.connectTimeout);
    this.#set('connecting');
    let url;
    try {
      url = turn === this.#turn ? await this.#o.address() : null;
    } catch (error) {
      if (turn === this.#turn) this.#noToken(asError(error));
      return;
    }
    if (turn === this.#turn) this.#open(url, turn);
  }

  #noToken(error) {
    if (error.permanent) {
      this.halt(error);
    } else {
      this.#drop();
      this.#again(error);
    }
  }

  #open(url, turn) {
    try {
      const conn = new Connection({
        url,
        WebSocket: this.#o.WebSocket,
        clock: this.#clock,
        pongTimeout: this.#o.pongTimeout,
        handlers: {
          frame: (frame) => this.#o.frame(frame, conn),
          closed: (code, reason) => {
            if (turn === this.#turn) this.#closed(code, reason);
          },
        },
      });
      this.conn = conn;
    } catch (cause) {
      this.halt(new ChatError('connection',
        `No WebSocket can be opened: ${cause?.message}`, { cause }));
    }
  }

  #late(turn) {
    if (turn !== this.#turn) return;
    if (this.conn) this.conn.abandon(1006, 'no welcome in time');
    else this.#closed(1006, 'no token in time');
  }

  #closed(code, reason) {
    this.#drop();
    const stop = closeAction(code) === 'stop';
    const error = new ChatError('connection',
      `The connection ended with ${code}${reason ? `: ${reason}` : '.'}`,
      { closeCode: code, temporary: !stop });
    if (stop) this.halt(error, code);
    else this.#again(error, code);
  }

  #again(error, code) {
    const now = this.#clock.now();
    if (this.#syncedAt !== null && now - this.#syncedAt >= STABLE) {
      this.#attempts = 0;
    }
    this.#syncedAt = null;
    let ms = this.#shutdownAt === null
      ? backoffDelay(this.#attempts++, this.#o.backoff, this.#o.random)
      : Math.max(0, this.#shutdownAt - now);
    this.#shutdownAt = null;
    if (error.retryAfterMs > ms) ms = error.retryAfterMs;
    this.#later('waiting', ms, { code, error });
  }

  #later(state, ms, more) {
    this.#clock.clearTimeout(this.#retry);
    this.#retry = this.#clock.setTimeout(() => this.#try(), ms);
    this.#set(state, { retryInMs: ms, ...more });
  }

  #cameOnline() {
    if (this.conn) {
      this.conn.probe();
    } else if (this.state === 'offline' || this.state === 'waiting') {
      this.#attempts = 0;
      this.#try();
    }
  }

  /** It may be wrong about that, so a try is made now and then. */
  #wentOffline() {
    if (this.state === 'offline') return;
    const { conn } = this;
    this.#drop();
    conn?.abandon();
    this.#later('offline', this.#o.backoff.max);
  }
}
