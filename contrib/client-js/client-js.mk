# SPDX-License-Identifier: MIT
# The JavaScript client: a package for npm; nothing here is built.
# The modules are also what the web console imports as client/….
client_js_modules = \
	contrib/client-js/src/acks.js \
	contrib/client-js/src/backoff.js \
	contrib/client-js/src/client.js \
	contrib/client-js/src/connection.js \
	contrib/client-js/src/cursors.js \
	contrib/client-js/src/emitter.js \
	contrib/client-js/src/errors.js \
	contrib/client-js/src/index.js \
	contrib/client-js/src/life.js \
	contrib/client-js/src/outbox.js \
	contrib/client-js/src/platform.js \
	contrib/client-js/src/presence.js \
	contrib/client-js/src/rest.js \
	contrib/client-js/src/storage.js \
	contrib/client-js/src/tokens.js

EXTRA_DIST += $(client_js_modules) \
	contrib/client-js/README.md \
	contrib/client-js/index.d.ts \
	contrib/client-js/package-lock.json \
	contrib/client-js/package.json \
	contrib/client-js/test/browser.test.js \
	contrib/client-js/test/fake.js \
	contrib/client-js/test/life.test.js \
	contrib/client-js/test/live.test.js \
	contrib/client-js/test/package.test.js \
	contrib/client-js/test/proxy.js \
	contrib/client-js/test/pure.test.js \
	contrib/client-js/test/reporter.js \
	contrib/client-js/test/server.js \
	contrib/client-js/test/storm.test.js \
	contrib/client-js/test/talk.test.js \
	contrib/client-js/test/usage.ts
