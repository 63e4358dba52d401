// SPDX-License-Identifier: MIT
// A program in TypeScript: tsc must take it, and refuse what is marked.
import {
  ChatClient, ChatError, ChatRest, backoffDelay, closeAction,
  localStorageAdapter, memoryStorage,
} from 'chatapi-client';
import type { ChatOptions, Storage, StoredMessage } from 'chatapi-client';

const custom: Storage = {
  get: async (key) => `value of ${key}`,
  set: async () => {},
  remove: () => {},
};
const options: ChatOptions = {
  url: 'https://chat.example',
  tokenProvider: async ({ purpose }) => (purpose === 'rest' ? 'jwt' : 'wst_'),
  storage: [memoryStorage(), localStorageAdapter(), custom][2],
  WebSocket,
  backoff: { base: 100 },
};
const chat = new ChatClient(options);
const stop: () => void = chat.on('message', (m) => {
  const text: string | undefined = m.content;
  if (!m.pending) chat.ack(m.room_id, m.seq!);
  console.log(text);
});
chat.once('state', ({ state, retryInMs }) => state === 'waiting' && retryInMs);
chat.on('room.joined', ({ room }) => room.name?.length);
chat.on('error', (error) => error.code.length + (error.retryAfterMs ?? 0));
chat.on('presence', ({ user_id, status }) => [user_id, status]);
chat.off('sync', ({ heads }) => heads['room']?.seq);
stop();

export async function main(): Promise<StoredMessage[]> {
  await chat.connect();
  try {
    const sent = await chat.send('room', 'Hello', { meta: { a: [1, null] } });
    const seq: number = sent.seq;
    chat.typing('room');
    console.log(seq, chat.isOnline('bob'), chat.typingIn('room').length);
  } catch (error) {
    if (error instanceof ChatError && error.temporary) throw error;
  }
  const rest = new ChatRest({ url: 'https://chat.example', token: 'jwt' });
  for await (const room of chat.rest.each((q) => rest.rooms(q))) {
    console.log(room);
  }
  const { messages } = await rest.history('room', { afterSeq: 1 });
  await chat.close();
  return messages;
}

const action: 'retry' | 'stop' = closeAction(1012);
console.log(action, backoffDelay(0, { base: 1, max: 2 }, Math.random));

// @ts-expect-error there is no such event
chat.on('mesage', () => {});
// @ts-expect-error content is text
void chat.send('room', 7);
// @ts-expect-error url must be there
export const bad = new ChatClient({ token: 'x' });
