# SPDX-License-Identifier: MIT
master_sources = \
	src/master/certificate.c src/master/certificate.h \
	src/master/child.c src/master/child.h \
	src/master/control.c src/master/control.h \
	src/master/drain.c src/master/drain.h \
	src/master/hub.c src/master/hub.h \
	src/master/listen.c src/master/listen.h \
	src/master/lock.c src/master/lock.h \
	src/master/master.c src/master/master.h \
	src/master/notify.c src/master/notify.h \
	src/master/presence.c src/master/presence.h \
	src/master/relay.c src/master/relay.h \
	src/master/relay_presence.c src/master/relay_presence.h \
	src/master/reload.c src/master/reload.h \
	src/master/signals.c src/master/signals.h \
	src/master/spawn.c src/master/spawn.h \
	src/master/status.c src/master/status.h
