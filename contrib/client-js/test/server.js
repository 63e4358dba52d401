// SPDX-License-Identifier: MIT
// The real server for the tests: started, killed in parts or whole, started
// again on the same database and port. CHATAPI_BIN names the program.
import { spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { mkdtempSync, openSync, readFileSync, readdirSync, rmSync }
  from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import WebSocket from 'ws';
import { ChatClient, ChatRest } from 'chatapi-client';

export const SLOW = process.env.CHATAPI_SANITIZERS === 'yes' ||
  !['', '0'].includes(process.env.CHATAPI_SLOW ?? '');
export const DEADLINE = SLOW ? 120000 : 40000;

const MASTER_KEY = 'operator-key-of-the-client-tests';
const JWT_SECRET = 'a secret of thirty-two bytes or more';

export const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/** Polls until f() gives something true, and returns it. */
export async function until(f, what, deadline = DEADLINE) {
  const end = Date.now() + deadline;
  for (;;) {
    const value = await f();
    if (value) return value;
    if (Date.now() > end) throw new Error(`waited in vain until ${what}`);
    await pause(10);
  }
}

/** Not one of those that connections get, so that it stays free while its
 * server is down, and above all that fetch() refuses as unsafe. */
async function freePort() {
  const end = Number(readFileSync('/proc/sys/net/ipv4/ip_local_port_range',
    'ascii').split(/\s/)[0]);
  for (;;) {
    const port = 10240 + Math.floor(Math.random() * (end - 10240));
    const probe = createServer();
    const free = await new Promise((done) => {
      probe.once('error', () => done(false));
      probe.listen(port, '127.0.0.1', () => done(true));
    });
    if (!free) continue;
    await new Promise((done) => probe.close(done));
    return port;
  }
}

function alive(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return !/^[ZX]$/.test(stat.slice(stat.lastIndexOf(')') + 2)[0]);
  } catch {
    return false;
  }
}

const running = new Set();
process.on('exit', () => {
  for (const server of running) server.killAll();
});

export class Server {
  constructor(env = {}) {
    this.dir = mkdtempSync(join(tmpdir(), 'chatapi-js-'));
    this.env = { PATH: process.env.PATH, MASTER_API_KEY: MASTER_KEY,
      DEFAULT_RATE_LIMIT: '0', WS_MAX_CONNECTIONS_PER_USER: '1000',
      ALLOWED_ORIGINS: '*', PRESENCE_GRACE: '1s', ...env };
    for (const name of ['ASAN_OPTIONS', 'UBSAN_OPTIONS']) {
      if (process.env[name]) this.env[name] = process.env[name];
    }
  }

  static async start(env) {
    const server = new Server(env);
    server.port = await freePort();
    await server.launch();
    return server;
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  get log() {
    return readFileSync(join(this.dir, 'log'), 'utf8');
  }

  async launch() {
    const log = openSync(join(this.dir, 'log'), 'a');
    this.process = spawn(process.env.CHATAPI_BIN,
      ['-w', '2', '-d', 'file:chatapi.db', '-l', `127.0.0.1:${this.port}`,
        ...(process.getuid() === 0 ? ['--user', 'root'] : [])],
      { cwd: this.dir, env: this.env, stdio: ['ignore', log, log] });
    running.add(this);
    await until(async () => {
      if (this.process.exitCode !== null) {
        throw new Error(`the server ended:\n${this.log.slice(-3000)}`);
      }
      try {
        return (await fetch(`${this.url}/health`)).ok;
      } catch {
        return false;
      }
    }, 'the server was healthy');
  }

  /** Pids of children whose title has this in it. */
  children(role = '') {
    const { pid } = this.process;
    let pids;
    try {
      pids = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1')
        .split(' ').filter(Boolean).map(Number);
    } catch {
      return [];
    }
    return pids.filter((child) => {
      try {
        return readFileSync(`/proc/${child}/cmdline`, 'latin1')
          .includes(role);
      } catch {
        return false;
      }
    });
  }

  /** Kills one child of that role; waits until another is there. */
  async killOne(role) {
    const old = await until(() => this.children(role)[0], `${role} was there`);
    process.kill(old, 'SIGKILL');
    await until(() => !this.children().includes(old), `${role} was gone`);
  }

  /** Everything at once. */
  killAll() {
    const pids = [this.process.pid, ...this.children()];
    for (const pid of pids) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has just ended.
      }
    }
    running.delete(this);
    return pids;
  }

  async crash() {
    const pids = this.killAll();
    await until(() => !pids.some(alive), 'all processes were gone');
  }

  /** An orderly end. */
  async stop() {
    this.process.kill('SIGTERM');
    await until(() => this.process.exitCode !== null ||
      this.process.signalCode !== null, 'the server had ended');
    running.delete(this);
    if (/ERROR: \w+Sanitizer|runtime error:/.test(this.log)) {
      throw new Error(`a report in the log:\n${this.log}`);
    }
  }

  async destroy() {
    if (running.has(this)) await this.stop();
    rmSync(this.dir, { recursive: true, force: true });
  }

  async tenant() {
    const admin = new ChatRest({ url: this.url,
      headers: { 'X-Master-Key': MASTER_KEY } });
    const made = await admin.request('POST', '/admin/tenants',
      { body: { name: 'a tenant' } });
    await admin.request('PATCH', `/admin/tenants/${made.tenant_id}`,
      { body: { jwt_secret: JWT_SECRET } });
    return new Tenant(this, made, admin);
  }
}

const part = (value) => Buffer.from(value).toString('base64url');

class Tenant {
  constructor(server, { tenant_id: id, api_key: key }, admin) {
    Object.assign(this, { server, id, key, admin });
    this.rest = new ChatRest({ url: server.url, headers: this.headers() });
  }

  headers(user) {
    const headers = { 'X-API-Key': this.key };
    if (user !== undefined) headers['X-User-Id'] = user;
    return headers;
  }

  user(user) {
    return new ChatRest({ url: this.server.url, headers: this.headers(user) });
  }

  jwt(user, seconds = 3600) {
    const head = part(JSON.stringify({ alg: 'HS256' }));
    const body = part(JSON.stringify({ tid: this.id, sub: user,
      exp: Math.floor(Date.now() / 1000) + seconds }));
    const mac = createHmac('sha256', JWT_SECRET).update(`${head}.${body}`)
      .digest('base64url');
    return `${head}.${body}.${mac}`;
  }

  change(change) {
    return this.admin.request('PATCH', `/admin/tenants/${this.id}`,
      { body: change });
  }

  room(...members) {
    return this.rest.createRoom({ type: 'group', members });
  }

  /** A client with fast pauses, and all that it has said. */
  client(user, options = {}) {
    return watched(new ChatClient({
      url: this.server.url,
      headers: this.headers(user),
      WebSocket,
      backoff: { base: 50, max: 400 },
      ackInterval: 50,
      ...options,
    }));
  }
}

const EVENTS = ['message', 'failed', 'edited', 'deleted', 'ack', 'typing',
  'presence', 'room.joined', 'room.updated', 'room.left', 'room.deleted',
  'notification', 'sync', 'gap', 'resync', 'state', 'error'];

function watched(chat) {
  chat.log = [];
  for (const event of EVENTS) {
    chat.on(event, (value) => chat.log.push({ event, ...value, value }));
  }
  chat.of = (event, fields = {}) => chat.log.filter((entry) =>
    entry.event === event &&
    Object.entries(fields).every(([k, v]) => entry[k] === v));
  chat.seqs = (room) => chat.of('message', { room_id: room, pending: false })
    .map((m) => m.seq);
  chat.heard = (event, fields) => until(() => chat.of(event, fields)[0],
    `${event} ${JSON.stringify(fields)} was heard; the last ones: ` +
    JSON.stringify(chat.log.slice(-5)));
  return chat;
}

export function range(from, to) {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}
