# SPDX-License-Identifier: MIT
# The JavaScript client: a package for npm; nothing here is built.
EXTRA_DIST += \
	contrib/client-js/README.md \
	contrib/client-js/index.d.ts \
	contrib/client-js/package.json
