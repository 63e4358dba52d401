// SPDX-License-Identifier: MIT
// What the package offers; see README.md.
export { backoffDelay, closeAction } from './backoff.js';
export { ChatClient } from './client.js';
export { ChatError } from './errors.js';
export { ChatRest } from './rest.js';
export { localStorageAdapter, memoryStorage } from './storage.js';
