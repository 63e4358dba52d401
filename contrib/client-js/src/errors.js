// SPDX-License-Identifier: MIT
// The one class of errors that the package's promises reject with.

export class ChatError extends Error {
  constructor(code, message, more = {}) {
    super(message, more.cause === undefined ? {} : { cause: more.cause });
    this.name = 'ChatError';
    this.code = code;
    this.status = more.status;
    this.field = more.field;
    this.requestId = more.requestId;
    this.temporary = more.temporary ?? false;
    this.retryAfterMs = more.retryAfterMs;
    this.closeCode = more.closeCode;
  }
}

/** From an `error` frame. */
export function frameError(frame) {
  return new ChatError(String(frame.code), String(frame.message), {
    field: frame.field,
    requestId: frame.request_id,
    temporary: frame.temporary === true,
    retryAfterMs: frame.retry_after_ms,
  });
}

export function closedError() {
  return new ChatError('closed', 'The client was closed.');
}

/** Hands what a handler threw to the platform: it is not ours to swallow. */
export function report(error) {
  if (typeof globalThis.reportError === 'function') {
    globalThis.reportError(error);
  } else {
    queueMicrotask(() => {
      throw error;
    });
  }
}
