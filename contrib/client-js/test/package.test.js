// SPDX-License-Identifier: MIT
// The package as others get it: what is in it, its types, and the samples of
// its README.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync,
  rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import * as offered from 'chatapi-client';
import { Server, until } from './server.js';

const run = promisify(execFile);
const top = fileURLToPath(new URL('..', import.meta.url));
const read = (name) => readFileSync(join(top, name), 'utf8');

let dir;
let server;
let tenant;
before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'chatapi-pack-'));
  server = await Server.start();
  tenant = await server.tenant();
});
after(async () => {
  rmSync(dir, { recursive: true, force: true });
  await server.destroy();
});

test('what npm packs can be imported and holds nothing else', async () => {
  const { stdout } = await run('npm',
    ['pack', '--silent', '--pack-destination', dir], { cwd: top });
  await run('tar', ['-xzf', stdout.trim()], { cwd: dir });
  mkdirSync(join(dir, 'node_modules'));
  const packed = join(dir, 'node_modules', 'chatapi-client');
  renameSync(join(dir, 'package'), packed);
  assert.deepEqual(readdirSync(packed).sort(),
    ['README.md', 'index.d.ts', 'package.json', 'src']);
  const manifest = JSON.parse(readFileSync(join(packed, 'package.json')));
  assert.equal(manifest.dependencies, undefined);
  writeFileSync(join(dir, 'try.mjs'),
    'import * as all from "chatapi-client";\n' +
    'console.log(Object.keys(all).sort().join());\n');
  const tried = await run(process.execPath, ['try.mjs'], { cwd: dir });
  assert.equal(tried.stdout.trim(), Object.keys(offered).sort().join());
});

test('the types are those of the program', async () => {
  await run(process.execPath, [join(top, 'node_modules/typescript/bin/tsc'),
    '--noEmit', '--strict', '--target', 'es2022', '--module', 'nodenext',
    '--lib', 'es2022,dom', 'test/usage.ts'], { cwd: top })
    .catch((error) => assert.fail(error.stdout));
  const types = read('index.d.ts');
  const names = [...types.matchAll(/^export (?:function|class) (\w+)/gm)]
    .map((m) => m[1]);
  assert.deepEqual(names.sort(), Object.keys(offered).sort());
  for (const name of ['ChatClient', 'ChatRest']) {
    const body = types.slice(types.indexOf(`export class ${name} {`));
    const declared = [...body.slice(0, body.indexOf('\n}'))
      .matchAll(/^ {2}(?:readonly )?(\w+)[(<:]/gm)].map((m) => m[1]);
    assert.deepEqual([...new Set(declared)].sort(),
      Object.getOwnPropertyNames(offered[name].prototype).sort());
  }
});

test('README says what there is', () => {
  const text = read('README.md');
  const types = read('index.d.ts');
  const events = types.slice(types.indexOf('interface Events {'));
  for (const [, name] of events.slice(0, events.indexOf('\n}'))
    .matchAll(/^ {2}'?([\w.]+)'?: /gm)) {
    assert.ok(text.includes(`\`${name}\``), `event ${name}`);
  }
  for (const name of ['ChatOptions', 'RestOptions']) {
    const options = types.slice(types.indexOf(`interface ${name}`));
    for (const [, option] of options.slice(0, options.indexOf('\n}'))
      .matchAll(/^ {2}(\w+)\??:/gm)) {
      assert.ok(text.includes(`\`${option}\``), `option ${option}`);
    }
  }
  for (const name of ['ChatClient', 'ChatRest']) {
    for (const method of Object.getOwnPropertyNames(offered[name].prototype)) {
      if (method === 'constructor') continue;
      assert.match(text, new RegExp(`\`${method}[(\`]|${method}\\(`));
    }
  }
});

/** Runs a sample of README as it stands, but for its addresses. */
async function sample(n, change) {
  const [, code] = [...read('README.md').matchAll(/^```js\n(.*?)^```/gms)][n];
  let program = code;
  for (const [from, to] of Object.entries(change)) {
    assert.ok(program.includes(from), from);
    program = program.replaceAll(from, to);
  }
  const path = join(top, `sample-${n}.mjs`);
  writeFileSync(path, program);
  return import(path).finally(() => rmSync(path));
}

/** What the sample prints goes to the returned array. */
function listening() {
  const lines = [];
  const saved = console.log;
  console.log = (...words) => lines.push(words.join(' '));
  return { lines, stop: () => void (console.log = saved) };
}

test('the first sample of README runs', async () => {
  const { room_id: room } = await tenant.room('alice');
  const backend = createServer(async (request, response) => {
    response.end((await tenant.rest.wsToken('alice')).token);
  });
  await new Promise((done) => backend.listen(0, '127.0.0.1', done));
  const area = new Map();
  globalThis.localStorage = { getItem: (k) => area.get(k) ?? null,
    setItem: (k, v) => area.set(k, v), removeItem: (k) => area.delete(k) };
  globalThis.WebSocket ??= (await import('ws')).default;
  const heard = listening();
  try {
    await sample(0, { 'https://chat.example': server.url,
      '/my/chat-token': `http://127.0.0.1:${backend.address().port}/`,
      'room_…': room,
      'const chat =': 'export const chat =' })
      .then(async ({ chat }) => {
        await until(() => heard.lines.length >= 6, 'it had printed');
        await until(async () => (await tenant.user('alice').rooms())
          .rooms[0].last_ack === 1, 'it had acknowledged');
        await chat.close();
      });
  } finally {
    heard.stop();
    delete globalThis.localStorage;
    await new Promise((done) => backend.close(done));
  }
  assert.deepEqual(heard.lines.slice(0, 3),
    ['connecting', 'syncing', 'online']);
  assert.equal(heard.lines[3], '… alice Hello');
  assert.deepEqual(heard.lines.slice(4, 6).sort(),
    ['1 alice Hello', 'stored as number 1']);
  assert.equal(area.size, 1);
});

test('the second sample of README runs', async () => {
  const { room_id: room } = await tenant.room('robot', 'bob');
  await tenant.rest.updateRoom(room, { name: 'Ops' });
  const bob = tenant.client('bob');
  await bob.connect();
  await bob.send(room, 'Hi');
  const heard = listening();
  try {
    const { robot } = await sample(1, { 'https://chat.example': server.url,
      'sk_…': tenant.key, 'const robot =': 'export const robot =' });
    const said = await bob.heard('message', { sender_id: 'robot' });
    assert.equal(said.content, 'You said: Hi');
    await bob.heard('ack', { user_id: 'robot', seq: 1 });
    await robot.close();
  } finally {
    heard.stop();
  }
  assert.match(heard.lines[0], /^Ops [12]$/);
  await bob.close();
});
