// SPDX-License-Identifier: MIT
// Who the caller is: tokens for WebSockets, headers for requests.
import { ChatError } from './errors.js';

const SINGLE = 'wst_';
// Seconds before its end at which a token is not used any more.
const MARGIN = 10;

/** The `exp` of a JWT in seconds, or null. */
export function expiry(token) {
  try {
    const part = token.split('.')[1].replace(/-/g, '+').replace(/_/g, '/');
    const { exp } = JSON.parse(atob(part));
    return Number.isFinite(exp) ? exp : null;
  } catch {
    return null;
  }
}

function missing(message) {
  const error = new ChatError('no_token', message);
  error.permanent = true;
  return error;
}

export class Tokens {
  #provider;
  #token;
  #headers;
  #clock;
  #used = false;
  #kept = null;

  constructor({ tokenProvider, token, headers }, clock) {
    if (!tokenProvider && !token && !headers) {
      throw new TypeError('tokenProvider, token or headers must be given');
    }
    this.#provider = tokenProvider;
    this.#token = token;
    this.#headers = headers;
    this.#clock = clock;
  }

  #left(token) {
    const exp = expiry(token);
    return exp === null ? null : exp - this.#clock.now() / 1000;
  }

  #fixed() {
    const left = this.#left(this.#token);
    if (left !== null && left <= 0) {
      const error = new ChatError('token_expired', 'The token has expired.');
      error.permanent = true;
      throw error;
    }
    return this.#token;
  }

  async #provided(purpose) {
    const token = await this.#provider({ purpose });
    if (typeof token !== 'string' || token === '') {
      throw new ChatError('no_token', 'tokenProvider gave no string.');
    }
    return token;
  }

  /** For one WebSocket. rest gets one where only headers are known. */
  async socket(rest) {
    if (this.#provider) return (await this.#provided('socket')).trim();
    if (!this.#token) return (await rest.wsToken()).token;
    if (this.#token.startsWith(SINGLE)) {
      if (this.#used) {
        throw missing('The one token opened a connection already; give a ' +
          'tokenProvider.');
      }
      this.#used = true;
    }
    return this.#fixed();
  }

  /** Headers for a request. */
  async request() {
    if (this.#headers) {
      return typeof this.#headers === 'function' ? this.#headers()
        : this.#headers;
    }
    const token = await this.#forRest();
    if (token.startsWith(SINGLE)) {
      throw missing('A wst_ token opens a WebSocket and serves no requests; ' +
        'give a JWT or headers.');
    }
    return { Authorization: `Bearer ${token}` };
  }

  async #forRest() {
    if (!this.#provider) return this.#fixed();
    if (this.#kept !== null && this.#left(this.#kept) > MARGIN) {
      return this.#kept;
    }
    const token = (await this.#provided('rest')).trim();
    this.#kept = this.#left(token) === null ? null : token;
    return token;
  }

  /** A request was refused for its token: whether another may help. */
  refused() {
    const had = this.#kept !== null;
    this.#kept = null;
    return had;
  }
}
