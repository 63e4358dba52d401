// SPDX-License-Identifier: MIT
// ChatClient: what a program holds in its hands. It gives each frame to the
// part that knows about it and tells the program what is new.
import { Acks } from './acks.js';
import { Cursors } from './cursors.js';
import { Emitter } from './emitter.js';
import { ChatError, closedError, frameError } from './errors.js';
import { Life } from './life.js';
import { Outbox } from './outbox.js';
import { baseUrl, systemClock, uuid } from './platform.js';
import { OwnTyping, Presence, Typists } from './presence.js';
import { ChatRest } from './rest.js';
import { CursorStore, memoryStorage } from './storage.js';
import { Tokens } from './tokens.js';

const DEFAULTS = {
  deviceId: 'default',
  ackInterval: 500,
  typingTimeout: 5000,
  connectTimeout: 15000,
  pongTimeout: 10000,
  persistInterval: 200,
  clock: systemClock,
  random: Math.random,
  uuid,
};
const BACKOFF = { base: 500, max: 30000 };
// Notifications come again at each connect until they are acknowledged.
const NOTIFIED = 10000;

/** What the platform has where the caller gave nothing. */
function settings(options) {
  const given = Object.fromEntries(
    Object.entries(options ?? {}).filter(([, v]) => v !== undefined));
  const o = { ...DEFAULTS, ...given };
  o.backoff = { ...BACKOFF, ...given.backoff };
  o.storage ??= memoryStorage();
  o.WebSocket ??= globalThis.WebSocket;
  if (typeof o.WebSocket !== 'function') {
    throw new TypeError('There is no WebSocket here; give one as the option ' +
      'WebSocket (in Node before 22 that of the package ws).');
  }
  if (o.events === undefined &&
      typeof globalThis.addEventListener === 'function') {
    o.events = globalThis;
  }
  return o;
}

/** A frame without what belongs to the protocol. */
function bare(frame) {
  const { type, request_id, ...rest } = frame;
  return rest;
}

export class ChatClient {
  #o;
  #base;
  #events = new Emitter();
  #tokens;
  #rest;
  #life;
  #cursors = new Cursors();
  #store;
  #opened = null;
  #outbox;
  #acks;
  #presence;
  #typists;
  #ownTyping;
  #notified = new Set();
  #resumeId = null;
  #userId = null;
  #sessionId = null;
  #limits = null;
  #pagehide = () => this.#flush();

  constructor(options) {
    const o = settings(options);
    this.#o = o;
    this.#base = baseUrl(o.url);
    this.#tokens = new Tokens(o, o.clock);
    this.#rest = new ChatRest(o, this.#tokens);
    const onError = (error) => this.#emit('error', error);
    const emit = (event, value) => this.#emit(event, value);
    this.#store = new CursorStore({ storage: o.storage, clock: o.clock,
      interval: o.persistInterval, onError });
    this.#acks = new Acks({ clock: o.clock, interval: o.ackInterval,
      onError });
    this.#outbox = new Outbox({ ...o,
      stuck: () => this.#life.conn?.abandon(1006, 'no answer to a message') });
    this.#presence = new Presence(emit);
    this.#typists = new Typists(emit, o.clock);
    this.#ownTyping = new OwnTyping({ clock: o.clock,
      timeout: o.typingTimeout,
      send: (frame) => this.#life.conn?.send(frame) });
    this.#life = new Life({ ...o,
      address: () => this.#address(),
      frame: (frame, conn) => this.#frame(frame, conn),
      down: () => this.#down(),
      changed: (event) => this.#events.emit('state', event) });
  }

  // ---- for the program ----

  get rest() { return this.#rest; }
  get state() { return this.#life.state; }
  get userId() { return this.#userId; }
  get sessionId() { return this.#sessionId; }
  get epoch() { return this.#cursors.epoch; }
  get limits() { return this.#limits; }
  get presence() { return this.#presence.map; }

  on(event, f) { return this.#events.on(event, f); }
  once(event, f) { return this.#events.once(event, f); }
  off(event, f) { this.#events.off(event, f); }

  connect() {
    this.#o.events?.addEventListener('pagehide', this.#pagehide);
    return this.#life.start();
  }

  async close() {
    if (this.#closed) return;
    this.#o.events?.removeEventListener('pagehide', this.#pagehide);
    const saved = this.#flush();
    this.#life.close();
    this.#outbox.close();
    await saved;
  }

  send(roomId, content, { meta, clientMsgId = this.#o.uuid() } = {}) {
    if (this.#closed) return Promise.reject(closedError());
    this.#ownTyping.stop(roomId);
    const frame = { type: 'send_message', room_id: roomId, content,
      client_msg_id: clientMsgId };
    if (meta !== undefined) frame.meta = meta;
    this.#echo(frame);
    return this.#outbox.add(`room ${roomId}`, frame, 'message.sent').then(
      (sent) => ({ ...bare(sent), client_msg_id: clientMsgId }),
      (error) => {
        this.#emit('failed', { room_id: roomId, client_msg_id: clientMsgId,
          content, error });
        throw error;
      });
  }

  ack(roomId, seq) {
    if (!this.#closed) this.#acks.ack(roomId, seq);
  }

  typing(roomId) {
    if (this.#life.conn?.open) this.#ownTyping.type(roomId);
  }

  stopTyping(roomId) {
    this.#ownTyping.stop(roomId);
  }

  async ackNotification(id) {
    if (this.#closed) throw closedError();
    try {
      await this.#outbox.add(`notification ${id}`,
        { type: 'notification.ack', notification_id: id }, 'ok');
    } catch (error) {
      // It waits no longer: another device has done it, or an earlier try.
      if (error.code !== 'not_found') throw error;
    }
  }

  typingIn(roomId) {
    return this.#typists.in(roomId);
  }

  isOnline(userId) {
    return this.#presence.map.get(userId) === 'online';
  }

  cursors() {
    return this.#cursors.copy();
  }

  // ---- the connection ----

  get #closed() {
    return this.#life.state === 'closed';
  }

  #emit(event, value) {
    if (!this.#closed) this.#events.emit(event, value);
  }

  async #address() {
    const token = await this.#tokens.socket(this.#rest);
    return `${this.#base.replace(/^http/, 'ws')}/ws?resume=1&token=` +
      encodeURIComponent(token);
  }

  #flush() {
    this.#acks.flush();
    return this.#store.save();
  }

  #down() {
    this.#resumeId = null;
    this.#outbox.disconnected();
    this.#acks.disconnected();
    this.#ownTyping.clear();
    this.#typists.clearAll();
  }

  #echo({ type, ...message }) {
    this.#emit('message', { ...message, message_id: null, seq: null,
      sender_id: this.#userId ?? '',
      created_at: new Date(this.#o.clock.now()).toISOString(),
      pending: true });
  }

  #frame(frame, conn) {
    switch (frame.type) {
      case 'welcome': this.#welcome(frame, conn); break;
      case 'message': this.#message(frame, conn); break;
      case 'message.edited': this.#change('edited', frame); break;
      case 'message.deleted': this.#change('deleted', frame); break;
      case 'sync.complete': this.#complete(frame, conn); break;
      case 'sync.gap':
        this.#cursors.gap(frame);
        this.#emit('gap', bare(frame));
        this.#store.touch();
        break;
      case 'ack.received': this.#emit('ack', bare(frame)); break;
      case 'typing': this.#typists.update(frame); break;
      case 'presence.update': this.#presence.update(frame); break;
      case 'notification': this.#notification(frame); break;
      case 'server.shutdown':
        this.#life.shutdown(frame.reconnect_after_ms);
        break;
      case 'error': this.#emit('error', frameError(frame)); break;
      default: this.#room(frame);
    }
  }

  async #welcome(frame, conn) {
    const user = frame.user_id;
    if (this.#userId !== null && this.#userId !== user) {
      this.#life.halt(new ChatError('user_changed',
        'The token is another user\'s; make a new client for him.'));
      return;
    }
    this.#userId = user;
    this.#sessionId = frame.session_id;
    this.#limits = frame.limits ?? null;
    this.#outbox.limits = this.#limits;
    conn.setHeartbeat(frame.heartbeat_ms);
    this.#presence.connected();
    this.#life.welcomed();
    this.#opened ??= this.#store.open(
      `chatapi:${this.#base}|${user}|${this.#o.deviceId}`, this.#cursors);
    await this.#opened;
    if (this.#life.conn !== conn) return;
    this.#cursors.reconnected();
    this.#resume(frame.epoch, conn);
    this.#outbox.connected(conn);
    this.#acks.connected(conn);
  }

  #resume(epoch, conn) {
    if (this.#cursors.epoch === null) this.#cursors.reset(epoch);
    this.#resumeId = conn.ask({ type: 'resume', epoch: this.#cursors.epoch,
      cursors: this.#cursors.resume() }, (reply) => {
      if (reply.type !== 'error') return;
      const error = frameError(reply);
      if (error.code === 'resync_required') {
        this.#cursors.reset(epoch);
        this.#store.touch();
        this.#emit('resync', { epoch });
      } else if (error.temporary) {
        this.#o.clock.setTimeout(() => {
          if (this.#life.conn === conn) this.#resume(epoch, conn);
        }, error.retryAfterMs ?? this.#o.backoff.base);
      } else {
        // It came too late: the server goes on from what was acknowledged.
        this.#emit('error', error);
      }
    });
  }

  #complete(frame, conn) {
    for (const id of this.#cursors.heads(frame.heads ?? {})) {
      this.#heal(id, conn);
    }
    this.#store.touch();
    const answer = frame.request_id;
    if (this.#life.state !== 'syncing' ||
        (answer !== undefined && answer !== this.#resumeId)) return;
    this.#presence.synced();
    this.#life.synced();
    this.#emit('sync', { heads: frame.heads ?? {} });
    this.#life.ready();
  }

  // ---- rooms and messages ----

  #message(frame, conn) {
    switch (this.#cursors.message(frame)) {
      case 'new':
        this.#typists.update({ room_id: frame.room_id,
          user_id: frame.sender_id, action: 'stop' });
        this.#emit('message', { ...bare(frame), pending: false });
        this.#store.touch();
        break;
      case 'hole':
        this.#heal(frame.room_id, conn);
        break;
      default:
    }
  }

  /** Asks for a room from where it stands here. */
  #heal(id, conn) {
    const from = this.#cursors.heal(id);
    if (!from) return;
    conn.ask({ type: 'subscribe', room_id: id, ...from }, (reply) => {
      this.#cursors.healed(id, reply.type !== 'error');
    });
  }

  #change(event, frame) {
    if (!this.#cursors.change(frame)) return;
    this.#emit(event, bare(frame));
    this.#store.touch();
  }

  #room(frame) {
    switch (frame.type) {
      case 'room.joined':
        this.#cursors.joined(frame.room_id);
        break;
      case 'room.updated':
        break;
      case 'room.left':
      case 'room.deleted':
        this.#cursors.left(frame.room_id);
        this.#typists.clear(frame.room_id);
        this.#store.touch();
        break;
      default:
        return;
    }
    this.#emit(frame.type, bare(frame));
  }

  #notification(frame) {
    const id = frame.notification_id;
    if (this.#notified.has(id)) return;
    this.#notified.add(id);
    if (this.#notified.size > NOTIFIED) {
      this.#notified.delete(this.#notified.values().next().value);
    }
    this.#emit('notification', bare(frame));
  }
}
