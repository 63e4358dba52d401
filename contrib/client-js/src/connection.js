// SPDX-License-Identifier: MIT
// One WebSocket from its handshake to its end: frames in and out, answers to
// what was asked, and whether the other side is still there.

const OPEN = 1;
// Until a welcome says otherwise.
const HEARTBEAT = 25000;

export class Connection {
  #ws;
  #clock;
  #handlers;
  #pongTimeout;
  #asked = new Map();
  #next = 1;
  #heard;
  #timer = null;
  #probing = false;
  #quiet = HEARTBEAT * 1.5;

  /** handlers: frame(frame), closed(code, reason), each at most until
   * closed was called. */
  constructor({ url, WebSocket, clock, pongTimeout, handlers }) {
    this.#clock = clock;
    this.#handlers = handlers;
    this.#pongTimeout = pongTimeout;
    this.#heard = clock.now();
    this.#ws = new WebSocket(url);
    this.#ws.onmessage = (event) => this.#received(event.data);
    this.#ws.onclose = (event) => this.#end(event.code, event.reason);
    // A close follows; without a handler the package ws would throw.
    this.#ws.onerror = () => {};
    this.#arm(this.#quiet);
  }

  get open() {
    return this.#handlers !== null && this.#ws.readyState === OPEN;
  }

  setHeartbeat(ms) {
    if (!(ms > 0)) return;
    this.#quiet = ms * 1.5;
    if (!this.#probing) this.#arm(this.#quiet);
  }

  send(frame) {
    if (this.open) this.#ws.send(JSON.stringify(frame));
  }

  /** Sends it with a request_id; f is called with the answer, if one comes
   * on this connection. */
  ask(frame, f) {
    const id = `q${this.#next++}`;
    this.#asked.set(id, f);
    this.send({ ...frame, request_id: id });
    return id;
  }

  /** Asks for a sign of life now. */
  probe() {
    if (!this.open || this.#probing) return;
    this.#probing = true;
    this.send({ type: 'ping' });
    this.#arm(this.#pongTimeout);
  }

  /** Takes leave. */
  close() {
    this.#detach();
    this.#ws.close(1000);
  }

  /** Leaves a connection that is taken for dead. */
  abandon(code, reason) {
    const { closed } = this.#handlers ?? {};
    this.#detach();
    try {
      if (typeof this.#ws.terminate === 'function') this.#ws.terminate();
      else this.#ws.close();
    } catch {
      // It was not open yet.
    }
    closed?.(code, reason);
  }

  #detach() {
    this.#handlers = null;
    this.#clock.clearTimeout(this.#timer);
    this.#asked.clear();
  }

  #end(code, reason) {
    const { closed } = this.#handlers ?? {};
    this.#detach();
    closed?.(code ?? 1006, reason ?? '');
  }

  #arm(ms) {
    this.#clock.clearTimeout(this.#timer);
    this.#timer = this.#clock.setTimeout(() => this.#due(), ms);
  }

  #due() {
    const silent = this.#clock.now() - this.#heard;
    if (this.#probing) {
      this.abandon(1006, 'no answer to a ping');
    } else if (silent >= this.#quiet) {
      this.probe();
      // Not open at all: whoever waits for a welcome gives up.
      if (!this.#probing) this.#arm(this.#quiet);
    } else {
      this.#arm(this.#quiet - silent);
    }
  }

  #received(data) {
    if (this.#handlers === null) return;
    this.#heard = this.#clock.now();
    if (this.#probing) {
      this.#probing = false;
      this.#arm(this.#quiet);
    }
    let frame;
    try {
      frame = JSON.parse(data);
    } catch {
      return;
    }
    if (typeof frame?.type !== 'string') return;
    const f = this.#asked.get(frame.request_id);
    if (f) {
      this.#asked.delete(frame.request_id);
      f(frame);
      // Answered errors are for who asked.
      if (frame.type === 'error') return;
    }
    this.#handlers?.frame(frame);
  }
}
