// SPDX-License-Identifier: MIT
// A reporter for node --test: one line of JSON for each test that ended, for
// tests/e2e/test_client_js.py.

export default async function* reporter(events) {
  for await (const { type, data } of events) {
    if (type === 'test:diagnostic') {
      yield `${JSON.stringify({ says: data.message })}\n`;
    }
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const error = data.details?.error;
    const cause = error?.cause ?? error;
    yield `${JSON.stringify({
      name: data.name,
      ok: type === 'test:pass',
      skipped: data.skip ?? false,
      error: error && String(cause?.stack ?? cause),
    })}\n`;
  }
}
