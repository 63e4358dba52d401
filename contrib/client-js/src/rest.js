// SPDX-License-Identifier: MIT
// The requests. Nothing here is tried twice, except with a new token.
import { ChatError } from './errors.js';
import { baseUrl, systemClock, uuid } from './platform.js';
import { Tokens } from './tokens.js';

const seg = encodeURIComponent;

function retryAfter(response) {
  const seconds = Number(response.headers.get('retry-after') ?? NaN);
  return Number.isFinite(seconds) ? seconds * 1000 : undefined;
}

async function refusal(response) {
  let body = null;
  try {
    body = await response.json();
  } catch {
    // A proxy's page: the status has to do.
  }
  const { status } = response;
  return new ChatError(
    body?.error ?? (status >= 500 ? 'unavailable' : 'invalid_request'),
    body?.message ?? `HTTP ${status}`,
    {
      status,
      field: body?.field,
      requestId: body?.request_id ??
        response.headers.get('x-request-id') ?? undefined,
      temporary: status === 429 || status >= 500,
      retryAfterMs: retryAfter(response),
    });
}

export class ChatRest {
  #base;
  #tokens;
  #fetch;

  /** tokens: for ChatClient, which shares its own. */
  constructor(options, tokens) {
    this.#base = baseUrl(options.url);
    this.#tokens = tokens ??
      new Tokens(options, options.clock ?? systemClock);
    this.#fetch = options.fetch ?? ((...args) => globalThis.fetch(...args));
  }

  async request(method, path, { query, body, headers } = {}) {
    const url = new URL(this.#base + path);
    for (const [name, value] of Object.entries(query ?? {})) {
      if (value !== undefined && value !== null) {
        url.searchParams.set(name, value);
      }
    }
    const send = async () => this.#send(url, method, body,
      { ...await this.#tokens.request(), ...headers });
    let response = await send();
    if (response.status === 401 && this.#tokens.refused()) {
      response = await send();
    }
    if (!response.ok) throw await refusal(response);
    return this.#body(response);
  }

  async #send(url, method, body, headers) {
    const init = { method, headers: { ...headers } };
    if (body !== undefined) {
      init.headers['Content-Type'] = 'application/json';
      init.body = JSON.stringify(body);
    }
    try {
      return await this.#fetch(url.href, init);
    } catch (cause) {
      throw new ChatError('network', `No answer came: ${cause?.message}`,
        { temporary: true, cause });
    }
  }

  async #body(response) {
    if (response.status === 204) return null;
    try {
      return await response.json();
    } catch (cause) {
      throw new ChatError('network', 'The answer broke off.',
        { temporary: true, status: response.status, cause });
    }
  }

  async* each(page) {
    let cursor;
    do {
      const answer = await page({ cursor });
      yield* Object.values(answer).find(Array.isArray) ?? [];
      cursor = answer.next_cursor;
    } while (cursor);
  }

  // ---- rooms ----

  rooms({ limit, cursor } = {}) {
    return this.request('GET', '/rooms', { query: { limit, cursor } });
  }

  channels({ limit, cursor } = {}) {
    return this.request('GET', '/channels', { query: { limit, cursor } });
  }

  createRoom({ type, members = [], name, metadata }) {
    return this.request('POST', '/rooms',
      { body: { type, members, name, metadata } });
  }

  room(roomId) {
    return this.request('GET', `/rooms/${seg(roomId)}`);
  }

  updateRoom(roomId, { name, metadata }) {
    return this.request('PATCH', `/rooms/${seg(roomId)}`,
      { body: { name, metadata } });
  }

  deleteRoom(roomId) {
    return this.request('DELETE', `/rooms/${seg(roomId)}`);
  }

  members(roomId, { limit, cursor } = {}) {
    return this.request('GET', `/rooms/${seg(roomId)}/members`,
      { query: { limit, cursor } });
  }

  addMember(roomId, userId, role) {
    return this.request('POST', `/rooms/${seg(roomId)}/members`,
      { body: { user_id: userId, role } });
  }

  addMembers(roomId, userIds) {
    return this.request('POST', `/rooms/${seg(roomId)}/members`,
      { body: { user_ids: userIds } });
  }

  removeMember(roomId, userId) {
    return this.request('DELETE',
      `/rooms/${seg(roomId)}/members/${seg(userId)}`);
  }

  // ---- messages ----

  history(roomId, { afterSeq, beforeSeq, limit } = {}) {
    return this.request('GET', `/rooms/${seg(roomId)}/messages`,
      { query: { after_seq: afterSeq, before_seq: beforeSeq, limit } });
  }

  message(roomId, messageId) {
    return this.request('GET',
      `/rooms/${seg(roomId)}/messages/${seg(messageId)}`);
  }

  post(roomId, content, { meta, clientMsgId = uuid() } = {}) {
    return this.request('POST', `/rooms/${seg(roomId)}/messages`,
      { body: { content, meta, client_msg_id: clientMsgId } });
  }

  edit(roomId, messageId, content) {
    return this.request('PUT',
      `/rooms/${seg(roomId)}/messages/${seg(messageId)}`,
      { body: { content } });
  }

  deleteMessage(roomId, messageId) {
    return this.request('DELETE',
      `/rooms/${seg(roomId)}/messages/${seg(messageId)}`);
  }

  ack(roomId, seq) {
    return this.request('POST', '/acks', { body: { room_id: roomId, seq } });
  }

  // ---- notifications ----

  notify({ topic, payload, targets }) {
    return this.request('POST', '/notify',
      { body: { topic, payload, targets } });
  }

  notifications({ limit, cursor } = {}) {
    return this.request('GET', '/notifications',
      { query: { limit, cursor } });
  }

  ackNotification(id) {
    return this.request('POST', `/notifications/${seg(id)}/ack`);
  }

  subscriptions({ limit, cursor } = {}) {
    return this.request('GET', '/subscriptions',
      { query: { limit, cursor } });
  }

  subscribe(topic) {
    return this.request('POST', '/subscriptions', { body: { topic } });
  }

  unsubscribe(id) {
    return this.request('DELETE', `/subscriptions/${seg(id)}`);
  }

  wsToken(userId) {
    return this.request('POST', '/ws/token', { body: { user_id: userId } });
  }
}
