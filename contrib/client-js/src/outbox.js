// SPDX-License-Identifier: MIT
// What must reach the server: messages, one at a time in each room so that
// they are stored in the order of the calls, and acknowledged notifications.
// Everything is kept until it is answered, over any number of connections.
import { ChatError, closedError, frameError } from './errors.js';
import { backoffDelay } from './backoff.js';
import { byteLength } from './platform.js';

// A connection that answers pings and not this has lost it.
const STUCK = 30000;
const FRAME = 64 * 1024;

export class Outbox {
  #clock;
  #random;
  #backoff;
  #stuck;
  #lanes = new Map();
  #conn = null;
  #pause = null;
  #refusals = 0;
  limits = null;

  /** stuck(): the connection is to be given up. */
  constructor({ clock, random, backoff, stuck }) {
    this.#clock = clock;
    this.#random = random;
    this.#backoff = backoff;
    this.#stuck = stuck;
  }

  /** Promises the answer of that type to the frame. */
  add(lane, frame, answer) {
    let text;
    try {
      text = JSON.stringify(frame);
    } catch (cause) {
      return Promise.reject(new ChatError('invalid_request',
        `Not to be written as JSON: ${cause.message}`, { cause }));
    }
    // The server would close the connection.
    const most = this.limits?.frame ?? FRAME;
    if (byteLength(text) + 64 > most) {
      return Promise.reject(new ChatError('payload_too_large',
        `A frame has at most ${most} bytes.`));
    }
    return new Promise((resolve, reject) => {
      const entry = { frame, answer, resolve, reject, timer: null };
      if (!this.#lanes.has(lane)) this.#lanes.set(lane, []);
      this.#lanes.get(lane).push(entry);
      this.#pump(lane);
    });
  }

  connected(conn) {
    this.#conn = conn;
    this.#resume();
  }

  disconnected() {
    this.#conn = null;
    this.#clock.clearTimeout(this.#pause);
    this.#pause = null;
    for (const [entry] of this.#lanes.values()) this.#idle(entry);
  }

  /** Rejects everything. */
  close() {
    this.disconnected();
    const lanes = [...this.#lanes.values()];
    this.#lanes.clear();
    for (const entry of lanes.flat()) entry.reject(closedError());
  }

  #idle(entry) {
    this.#clock.clearTimeout(entry.timer);
    entry.timer = null;
  }

  #resume() {
    this.#pause = null;
    for (const lane of [...this.#lanes.keys()]) this.#pump(lane);
  }

  #pump(lane) {
    const entry = this.#lanes.get(lane)?.[0];
    if (!entry || entry.timer !== null || !this.#conn?.open ||
        this.#pause !== null) return;
    entry.timer = this.#clock.setTimeout(this.#stuck, STUCK);
    this.#conn.ask(entry.frame, (reply) => this.#answered(lane, entry, reply));
  }

  #answered(lane, entry, reply) {
    this.#idle(entry);
    const error = reply.type === 'error' ? frameError(reply) : null;
    if (error?.temporary) {
      this.#wait(error);
      return;
    }
    this.#refusals = 0;
    const entries = this.#lanes.get(lane);
    entries.shift();
    if (entries.length === 0) this.#lanes.delete(lane);
    if (error) entry.reject(error);
    else if (reply.type === entry.answer) entry.resolve(reply);
    else entry.reject(new ChatError('internal_error',
      `Answered by a frame ${reply.type}.`));
    this.#pump(lane);
  }

  /** All lanes wait: what refuses one for a time refuses all. */
  #wait(error) {
    const ms = error.retryAfterMs ??
      backoffDelay(this.#refusals++, this.#backoff, this.#random);
    this.#pause ??= this.#clock.setTimeout(() => this.#resume(), ms);
  }
}
