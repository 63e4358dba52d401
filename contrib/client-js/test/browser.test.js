// SPDX-License-Identifier: MIT
// The module in a real Chromium: a page of another origin than the server's
// loads it as it is, gets its tokens from its own backend, and is reloaded,
// cut off and doubled.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { DEADLINE, Server, range, until } from './server.js';

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome'].find(existsSync);
const missing = CHROMIUM ? false : 'there is no Chromium (package chromium)';

const PAGE = `<!doctype html><meta charset="utf-8"><title>chat</title>
<script type="module">
import { ChatClient, localStorageAdapter } from './src/index.js';
const own = new URLSearchParams(location.search);
const chat = new ChatClient({
  url: own.get('url'),
  tokenProvider: async ({ purpose }) => (await fetch('/token?' +
    new URLSearchParams({ purpose, user: own.get('user') }))).text(),
  storage: localStorageAdapter(),
  persistInterval: 50,
  backoff: { base: 50, max: 400 },
});
window.chat = chat;
window.log = [];
window.states = [];
chat.on('message', (m) => log.push(m));
chat.on('state', (s) => states.push(s.state));
await chat.connect();
</script>`;

let server;
let tenant;
let site;
let browser;
let context;

/** The backend of the page: its files, and tokens. */
async function answer(request, response) {
  const url = new URL(request.url, 'http://site');
  if (url.pathname === '/token') {
    const user = url.searchParams.get('user');
    const rest = url.searchParams.get('purpose') === 'rest';
    response.end(rest ? tenant.jwt(user)
      : (await tenant.rest.wsToken(user)).token);
  } else if (/^\/src\/\w+\.js$/.test(url.pathname)) {
    response.setHeader('Content-Type', 'text/javascript');
    response.end(readFileSync(new URL(`..${url.pathname}`, import.meta.url)));
  } else {
    response.setHeader('Content-Type', 'text/html');
    response.end(PAGE);
  }
}

before(async () => {
  if (missing) return;
  site = createServer((request, response) => {
    answer(request, response).catch((error) => {
      response.statusCode = 500;
      response.end(String(error));
    });
  });
  await new Promise((done) => site.listen(0, '127.0.0.1', done));
  const origin = `http://127.0.0.1:${site.address().port}`;
  server = await Server.start({ ALLOWED_ORIGINS: origin });
  tenant = await server.tenant();
  browser = await chromium.launch({ executablePath: CHROMIUM,
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'] });
  context = await browser.newContext({ baseURL: origin });
  context.setDefaultTimeout(DEADLINE);
});

after(async () => {
  await browser?.close();
  await new Promise((done) => (site ? site.close(done) : done()));
  await server?.destroy();
});

async function open(user) {
  const page = await context.newPage();
  const failed = [];
  page.on('pageerror', (error) => failed.push(String(error)));
  page.failed = failed;
  await page.goto(`/?${new URLSearchParams({ url: server.url, user })}`);
  await online(page);
  return page;
}

const online = (page) => page.waitForFunction(() =>
  window.chat?.state === 'online');

/** Until the page has heard of that message. */
const heard = (page, room, seq) => page.waitForFunction(([r, s]) =>
  window.log.some((m) => m.room_id === r && m.seq === s), [room, seq]);

const seqs = (page, room) => page.evaluate((r) => window.log
  .filter((m) => m.room_id === r && !m.pending).map((m) => m.seq), room);

async function group(...members) {
  const { room_id: room } = await tenant.room(...members);
  const bob = tenant.client('bob');
  await bob.connect();
  return { room, bob };
}

test('a page chats, is reloaded, and goes on where it was', { skip: missing },
  async () => {
    const { room, bob } = await group('alice', 'bob');
    const page = await open('alice');
    const sent = await page.evaluate((r) => window.chat.send(r, 'Grüße 👋'),
      room);
    assert.equal(sent.seq, 1);
    assert.equal((await bob.heard('message', { room_id: room })).content,
      'Grüße 👋');
    await bob.send(room, 'two');
    await heard(page, room, 2);
    assert.deepEqual(await page.evaluate((r) => window.log
      .filter((m) => m.room_id === r).map((m) => [m.seq, m.pending]), room),
    [[null, true], [1, false], [2, false]]);
    for (const n of range(1, 3)) {
      await page.reload();
      await bob.send(room, `after reload ${n}`);
      await heard(page, room, n + 2);
      assert.deepEqual(await seqs(page, room), [n + 2]);
    }
    // A request of the page, with a JWT, over origins.
    const listed = await page.evaluate(async () =>
      (await window.chat.rest.rooms()).rooms);
    assert.equal(listed.find((r) => r.room_id === room).last_seq, 5);
    assert.deepEqual(page.failed, []);
    await page.close();
    await bob.close();
  });

test('a page whose network goes away comes back by itself',
  { skip: missing }, async () => {
    const { room, bob } = await group('carol', 'bob');
    const page = await open('carol');
    await context.setOffline(true);
    await page.waitForFunction(() => window.chat.state === 'offline');
    const sending = page.evaluate((r) => {
      window.sent = window.chat.send(r, 'from a tunnel');
    }, room);
    await sending;
    await bob.send(room, 'missed');
    await context.setOffline(false);
    await online(page);
    await page.evaluate(() => window.sent);
    await heard(page, room, 2);
    assert.deepEqual(await seqs(page, room), [1, 2]);
    assert.deepEqual(page.failed, []);
    await page.close();
    await bob.close();
  });

test('a page outlives the server', { skip: missing }, async () => {
  const { room, bob } = await group('dave', 'bob');
  const page = await open('dave');
  for (const n of range(1, 3)) {
    await server.crash();
    await page.waitForFunction(() => window.chat.state !== 'online');
    await page.evaluate(([r, text]) => {
      window.sent = window.chat.send(r, text);
    }, [room, `crash ${n}`]);
    await server.launch();
    assert.equal(await page.evaluate(async () => (await window.sent).seq), n);
  }
  await heard(page, room, 3);
  assert.deepEqual(await seqs(page, room), [1, 2, 3]);
  await until(() => bob.seqs(room).length === 3, 'bob had all');
  await page.close();
  await bob.close();
});

test('two pages of one browser share what they have seen',
  { skip: missing }, async () => {
    const { room, bob } = await group('erin', 'bob');
    const pages = [await open('erin'), await open('erin')];
    await bob.send(room, 'one');
    for (const page of pages) await heard(page, room, 1);
    const keys = () => pages[0].evaluate(() => Object.keys(localStorage)
      .filter((key) => key.includes('|erin|')));
    await until(async () => (await keys()).length > 0, 'it was kept');
    assert.deepEqual(await keys(), [`chatapi:${server.url}|erin|default`]);
    await pages[0].close();
    await bob.send(room, 'two');
    await heard(pages[1], room, 2);
    await pages[1].reload();
    await bob.send(room, 'three');
    await heard(pages[1], room, 3);
    assert.deepEqual(await seqs(pages[1], room), [3]);
    await pages[1].close();
    await bob.close();
  });
