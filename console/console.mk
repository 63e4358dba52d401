# SPDX-License-Identifier: MIT
# The web console: files that the server reads when it starts, and, in their
# folder client/, the JavaScript client of contrib/client-js.  share/console
# in the build tree holds them as they will be installed.
console_files = \
	console/app.js \
	console/base.css \
	console/chat.css \
	console/chat.js \
	console/chat_dialogs.js \
	console/chat_members.js \
	console/chat_rooms.js \
	console/chat_store.js \
	console/chat_timeline.js \
	console/dead_letters.js \
	console/dom.js \
	console/graphs.js \
	console/icon.svg \
	console/index.html \
	console/master.js \
	console/operator.css \
	console/operator.js \
	console/operator_tenant.js \
	console/parts.css \
	console/playground.js \
	console/schema.js \
	console/session.js \
	console/sign_in.js \
	console/wire.css \
	console/wire.js \
	console/wire_log.js

console_client_files = $(client_js_modules)

consoledir = $(pkgdatadir)/console
dist_console_DATA = $(console_files)
consoleclientdir = $(consoledir)/client
consoleclient_DATA = $(console_client_files)

noinst_DATA += share/console/.stamp
CLEANFILES += share/console/.stamp share/console/*.* share/console/client/*.*

share/console/.stamp: $(console_files) $(console_client_files)
	$(AM_V_at)rm -rf share/console && $(MKDIR_P) share/console/client
	$(AM_V_GEN)for f in $(console_files); do \
	    cp "$(srcdir)/$$f" share/console/ || exit 1; done; \
	for f in $(console_client_files); do \
	    cp "$(srcdir)/$$f" share/console/client/ || exit 1; done; \
	touch $@
