// SPDX-License-Identifier: MIT
// Types of chatapi-client. README.md explains what is meant.

export type Json =
  | null | boolean | number | string | Json[] | { [name: string]: Json };

export interface Message {
  room_id: string;
  message_id: string | null;
  seq: number | null;
  sender_id: string;
  content?: string;
  meta?: Json;
  created_at: string;
  client_msg_id?: string;
  rev?: number;
  edited_at?: string;
  deleted_at?: string;
}

/** A message as an event gives it: pending means not stored yet. */
export interface MessageEvent extends Message {
  pending: boolean;
}

/** A message as the server stores it. */
export interface StoredMessage extends Message {
  message_id: string;
  seq: number;
}

export interface Edited {
  room_id: string;
  message_id: string;
  seq: number;
  rev: number;
  sender_id: string;
  content: string;
  edited_at: string;
}

export interface Deleted {
  room_id: string;
  message_id: string;
  seq: number;
  rev: number;
}

export interface Room {
  room_id: string;
  type: 'dm' | 'group' | 'channel';
  name: string | null;
  metadata: Json;
  last_seq: number;
  created_at: string;
  unique_key?: string;
}

export interface ListedRoom extends Room {
  last_ack?: number;
  unread_count?: number;
  last_message: StoredMessage | null;
}

export interface Member {
  user_id: string;
  role: 'admin' | 'member';
  joined_at: string;
}

export interface Notification {
  notification_id: string;
  topic: string;
  payload: Json;
  created_at: string;
}

export interface Subscription {
  id: string;
  topic: string;
  created_at: string;
}

export interface Position {
  seq: number;
  rev: number;
}

export interface Cursors {
  epoch: string | null;
  rooms: { [roomId: string]: Position };
}

export interface Sent {
  message_id: string;
  room_id: string;
  seq: number;
  created_at: string;
  duplicate: boolean;
  client_msg_id: string;
}

export type State =
  | 'idle' | 'connecting' | 'syncing' | 'online' | 'waiting' | 'offline'
  | 'stopped' | 'closed';

export interface StateEvent {
  state: State;
  previous: State;
  /** With waiting and offline: milliseconds until the next attempt. */
  retryInMs?: number;
  /** The close code, where a connection was closed. */
  code?: number;
  error?: ChatError;
}

export interface Events {
  message: MessageEvent;
  failed: {
    room_id: string; client_msg_id: string; content: string;
    error: ChatError;
  };
  edited: Edited;
  deleted: Deleted;
  ack: { room_id: string; user_id: string; seq: number };
  typing: { room_id: string; user_id: string; action: 'start' | 'stop' };
  presence: { user_id: string; status: 'online' | 'offline' };
  'room.joined': { room_id: string; room: Room };
  'room.updated': { room_id: string; room: Room };
  'room.left': { room_id: string };
  'room.deleted': { room_id: string };
  notification: Notification;
  sync: { heads: { [roomId: string]: Position } };
  gap: { room_id: string; from: number; to: number; reason: string };
  resync: { epoch: string };
  state: StateEvent;
  error: ChatError;
}

export class ChatError extends Error {
  constructor(code: string, message: string, more?: {
    status?: number; field?: string; requestId?: string;
    temporary?: boolean; retryAfterMs?: number; closeCode?: number;
    cause?: unknown;
  });
  code: string;
  status?: number;
  field?: string;
  requestId?: string;
  temporary: boolean;
  retryAfterMs?: number;
  closeCode?: number;
}

/** Keeps strings under keys; each method may return a promise. */
export interface Storage {
  get(key: string): string | null | undefined
    | Promise<string | null | undefined>;
  set(key: string, value: string): void | Promise<void>;
  remove(key: string): void | Promise<void>;
}

export function memoryStorage(): Storage;
/** On window.localStorage, or another object of its kind. */
export function localStorageAdapter(area?: {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}): Storage;

export type TokenProvider =
  (ask: { purpose: 'socket' | 'rest' }) => string | Promise<string>;

export interface Clock {
  now(): number;
  setTimeout(f: () => void, ms: number): unknown;
  clearTimeout(timer: unknown): void;
}

export interface RestOptions {
  url: string;
  tokenProvider?: TokenProvider;
  token?: string;
  headers?: { [name: string]: string }
    | (() => { [name: string]: string }
      | Promise<{ [name: string]: string }>);
  fetch?: typeof globalThis.fetch;
  clock?: Clock;
}

export interface ChatOptions extends RestOptions {
  storage?: Storage;
  deviceId?: string;
  /** A constructor as browsers and the package ws have it. */
  WebSocket?: new (url: string) => unknown;
  backoff?: { base?: number; max?: number };
  ackInterval?: number;
  typingTimeout?: number;
  connectTimeout?: number;
  pongTimeout?: number;
  persistInterval?: number;
  events?: EventTarget | null;
  random?: () => number;
  uuid?: () => string;
}

export interface Page {
  limit?: number;
  cursor?: string;
}

export class ChatRest {
  constructor(options: RestOptions);
  request<T = any>(method: string, path: string, options?: {
    query?: { [name: string]: string | number | null | undefined };
    body?: unknown;
    headers?: { [name: string]: string };
  }): Promise<T>;
  each<T>(page: (query: Page) => Promise<
    { next_cursor: string | null } & { [list: string]: any }>):
    AsyncGenerator<T, void, undefined>;
  rooms(query?: Page):
    Promise<{ rooms: ListedRoom[]; next_cursor: string | null }>;
  channels(query?: Page):
    Promise<{ channels: Room[]; next_cursor: string | null }>;
  createRoom(room: {
    type: 'dm' | 'group' | 'channel'; members?: string[];
    name?: string; metadata?: Json;
  }): Promise<Room>;
  room(roomId: string): Promise<Room>;
  updateRoom(roomId: string, change: {
    name?: string | null; metadata?: Json;
  }): Promise<Room>;
  deleteRoom(roomId: string): Promise<null>;
  members(roomId: string, query?: Page):
    Promise<{ members: Member[]; next_cursor: string | null }>;
  addMember(roomId: string, userId: string, role?: 'admin' | 'member'):
    Promise<any>;
  addMembers(roomId: string, userIds: string[]): Promise<any>;
  removeMember(roomId: string, userId: string): Promise<null>;
  history(roomId: string, query?: {
    afterSeq?: number; beforeSeq?: number; limit?: number;
  }): Promise<{ messages: StoredMessage[]; has_more: boolean }>;
  message(roomId: string, messageId: string): Promise<StoredMessage>;
  post(roomId: string, content: string, options?: {
    meta?: Json; clientMsgId?: string;
  }): Promise<StoredMessage>;
  edit(roomId: string, messageId: string, content: string):
    Promise<StoredMessage>;
  deleteMessage(roomId: string, messageId: string): Promise<null>;
  ack(roomId: string, seq: number):
    Promise<{ room_id: string; seq: number }>;
  notify(notification: {
    topic: string; payload: Json;
    targets?: {
      user_ids?: string[]; room_id?: string; topic_subscribers?: boolean;
    };
  }): Promise<{ notification_id: string; created_at: string }>;
  notifications(query?: Page): Promise<{
    notifications: Notification[]; next_cursor: string | null;
  }>;
  ackNotification(id: string): Promise<{ notification_id: string }>;
  subscriptions(query?: Page): Promise<{
    subscriptions: Subscription[]; next_cursor: string | null;
  }>;
  subscribe(topic: string): Promise<Subscription>;
  unsubscribe(id: string): Promise<null>;
  wsToken(userId?: string): Promise<{ token: string; expires_in: number }>;
}

export class ChatClient {
  constructor(options: ChatOptions);
  readonly rest: ChatRest;
  readonly state: State;
  readonly userId: string | null;
  readonly sessionId: string | null;
  readonly epoch: string | null;
  readonly limits: {
    frame: number; content: number; meta: number; rate: number;
  } | null;
  readonly presence: ReadonlyMap<string, 'online' | 'offline'>;
  connect(): Promise<void>;
  close(): Promise<void>;
  on<E extends keyof Events>(event: E, f: (value: Events[E]) => void):
    () => void;
  once<E extends keyof Events>(event: E, f: (value: Events[E]) => void):
    () => void;
  off<E extends keyof Events>(event: E, f: (value: Events[E]) => void): void;
  send(roomId: string, content: string, options?: {
    meta?: Json; clientMsgId?: string;
  }): Promise<Sent>;
  ack(roomId: string, seq: number): void;
  typing(roomId: string): void;
  stopTyping(roomId: string): void;
  ackNotification(id: string): Promise<void>;
  typingIn(roomId: string): string[];
  isOnline(userId: string): boolean;
  cursors(): Cursors;
}

/** What a close code says: come back, or not. */
export function closeAction(code: number): 'retry' | 'stop';
/** Milliseconds to wait before attempt n (0, 1, …). */
export function backoffDelay(n: number,
  backoff: { base: number; max: number }, random: () => number): number;
