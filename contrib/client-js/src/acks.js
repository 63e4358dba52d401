// SPDX-License-Identifier: MIT
// Acknowledgements: of each room the latest, at most one frame an interval,
// kept until the server has confirmed it.
import { frameError } from './errors.js';

export class Acks {
  #clock;
  #interval;
  #onError;
  #wanted = new Map();
  #done = new Map();
  #conn = null;
  #timer = null;

  constructor({ clock, interval, onError }) {
    this.#clock = clock;
    this.#interval = interval;
    this.#onError = onError;
  }

  ack(room, seq) {
    if (!Number.isSafeInteger(seq) || seq < 0) {
      throw new TypeError('seq is no whole number');
    }
    if (seq <= (this.#done.get(room) ?? 0) ||
        seq <= (this.#wanted.get(room)?.seq ?? 0)) return;
    this.#wanted.set(room, { seq, asked: false });
    this.#arm(this.#interval);
  }

  connected(conn) {
    this.#conn = conn;
    for (const entry of this.#wanted.values()) entry.asked = false;
    if (this.#wanted.size > 0) this.#arm(this.#interval);
  }

  disconnected() {
    this.#conn = null;
    this.#clock.clearTimeout(this.#timer);
    this.#timer = null;
  }

  #arm(ms) {
    if (this.#conn === null) return;
    this.#timer ??= this.#clock.setTimeout(() => this.flush(), ms);
  }

  flush() {
    this.#clock.clearTimeout(this.#timer);
    this.#timer = null;
    if (!this.#conn?.open) return;
    for (const [room, entry] of this.#wanted) {
      if (entry.asked) continue;
      entry.asked = true;
      this.#conn.ask({ type: 'ack', room_id: room, seq: entry.seq },
        (reply) => this.#answered(room, entry, reply));
    }
  }

  #answered(room, entry, reply) {
    const current = this.#wanted.get(room) === entry;
    if (reply.type === 'error') {
      const error = frameError(reply);
      if (error.temporary) {
        entry.asked = false;
        this.#arm(error.retryAfterMs ?? this.#interval);
        return;
      }
      this.#onError(error);
    } else {
      this.#done.set(room, Math.max(entry.seq, this.#done.get(room) ?? 0));
    }
    if (current) this.#wanted.delete(room);
  }
}
