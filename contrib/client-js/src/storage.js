// SPDX-License-Identifier: MIT
// Where cursors survive a page: adapters, and the store that writes through
// one of them, at most so often.
import { ChatError } from './errors.js';
import { mergePositions, readPositions } from './cursors.js';

export function memoryStorage() {
  const map = new Map();
  return {
    get: (key) => map.get(key) ?? null,
    set: (key, value) => void map.set(key, value),
    remove: (key) => void map.delete(key),
  };
}

export function localStorageAdapter(area = globalThis.localStorage) {
  return {
    get: (key) => area.getItem(key),
    set: (key, value) => area.setItem(key, value),
    remove: (key) => area.removeItem(key),
  };
}

/** Runs f on the value now if it is there, later if it is promised: at the
 * end of a page nothing is done later. */
function after(value, f) {
  return typeof value?.then === 'function' ? value.then(f) : f(value);
}

export class CursorStore {
  #storage;
  #clock;
  #interval;
  #onError;
  #timer = null;
  #saving = null;
  #cursors = null;
  #key = null;

  constructor({ storage, clock, interval, onError }) {
    this.#storage = storage;
    this.#clock = clock;
    this.#interval = interval;
    this.#onError = onError;
  }

  get key() {
    return this.#key;
  }

  /** Fills the cursors with what was kept under this key. */
  async open(key, cursors) {
    this.#key = key;
    this.#cursors = cursors;
    try {
      const kept = readPositions(await this.#storage.get(key));
      if (kept) cursors.load(kept);
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(cause) {
    this.#onError(new ChatError('storage',
      `The cursors could not be kept: ${cause?.message}`, { cause }));
  }

  /** Something has changed. */
  touch() {
    if (this.#key === null) return;
    if (this.#interval <= 0) {
      this.save();
    } else {
      this.#timer ??= this.#clock.setTimeout(() => this.save(),
        this.#interval);
    }
  }

  /** Writes now; returns a promise if the storage does. */
  save() {
    this.#clock.clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#key === null) return undefined;
    if (this.#saving) {
      // One write at a time, each with what is true when it begins.
      this.#saving.again ??= this.#saving.promise.then(() => this.save());
      return this.#saving.again;
    }
    const done = this.#write();
    if (typeof done?.then !== 'function') return undefined;
    const saving = { again: null, promise: null };
    this.#saving = saving;
    saving.promise = done.finally(() => {
      this.#saving = null;
    });
    return saving.promise;
  }

  #write() {
    const cursors = this.#cursors;
    const key = this.#key;
    try {
      // Other pages of this device write here too.
      const done = after(this.#storage.get(key), (text) => {
        const merged = mergePositions(readPositions(text), cursors.take());
        return after(this.#storage.set(key, JSON.stringify(merged)),
          () => undefined);
      });
      return typeof done?.then === 'function'
        ? done.then(null, (error) => this.#failed(error)) : undefined;
    } catch (error) {
      this.#failed(error);
      return undefined;
    }
  }
}
