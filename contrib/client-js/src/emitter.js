// SPDX-License-Identifier: MIT
// Handlers of named events, called in the order in which they came.
import { report } from './errors.js';

export class Emitter {
  #handlers = new Map();

  on(event, f) {
    if (typeof f !== 'function') throw new TypeError('no function');
    if (!this.#handlers.has(event)) this.#handlers.set(event, new Set());
    this.#handlers.get(event).add(f);
    return () => this.off(event, f);
  }

  once(event, f) {
    const stop = this.on(event, (value) => {
      stop();
      f(value);
    });
    return stop;
  }

  off(event, f) {
    this.#handlers.get(event)?.delete(f);
  }

  emit(event, value) {
    for (const f of [...(this.#handlers.get(event) ?? [])]) {
      try {
        f(value);
      } catch (error) {
        report(error);
      }
    }
  }
}
