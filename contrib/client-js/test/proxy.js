// SPDX-License-Identifier: MIT
// A TCP proxy that cuts connections at random bytes, or goes silent.
import { connect, createServer } from 'node:net';

/** Numbers in [0, 1) that are the same for the same seed (xorshift32). */
export function seeded(seed) {
  let x = seed | 0 || 1;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) / 2 ** 32;
  };
}

export class Proxy {
  // Bytes after which a connection is cut: this many, and as many again at
  // random. Infinity: never.
  cutAfter = Infinity;
  silent = false;
  cuts = 0;
  #pairs = new Set();

  static async start(port, random) {
    const proxy = new Proxy();
    proxy.random = random;
    proxy.server = createServer((near) => proxy.#accept(near, port));
    await new Promise((done) => proxy.server.listen(0, '127.0.0.1', done));
    proxy.port = proxy.server.address().port;
    return proxy;
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  #accept(near, port) {
    const far = connect(port, '127.0.0.1');
    const pair = { near, far,
      left: this.cutAfter * (1 + this.random()) };
    this.#pairs.add(pair);
    for (const [from, to] of [[near, far], [far, near]]) {
      from.on('data', (data) => this.#pass(pair, data, to));
      from.on('error', () => this.#cut(pair));
      from.on('close', () => this.#cut(pair));
    }
  }

  #pass(pair, data, to) {
    if (this.silent) return;
    if (data.length < pair.left) {
      pair.left -= data.length;
      to.write(data);
      return;
    }
    // In the middle of a frame, or behind it before its answer.
    to.write(data.subarray(0, Math.floor(pair.left)), () => {
      this.cuts++;
      this.#cut(pair);
    });
    pair.left = Infinity;
  }

  #cut(pair) {
    this.#pairs.delete(pair);
    pair.near.destroy();
    pair.far.destroy();
  }

  cutAll() {
    for (const pair of [...this.#pairs]) this.#cut(pair);
  }

  stop() {
    this.cutAll();
    return new Promise((done) => this.server.close(done));
  }
}
