# SPDX-License-Identifier: MIT
# The Debian package; tests/package/deb.sh builds and tries it.
EXTRA_DIST += debian/changelog debian/chatapi.postrm \
	debian/control debian/copyright debian/rules debian/source/format
