# SPDX-License-Identifier: MIT
master_sources =

# What every process has at its end of the bus.
common_sources += \
	src/common/link.c src/common/link.h src/common/link_int.h \
	src/common/link_read.c src/common/link_write.c \
	src/common/loop.c src/common/loop.h \
	src/common/proctitle.c src/common/proctitle.h \
	src/common/unix_sock.c src/common/unix_sock.h

master_sources += \
	src/master/hub.c src/master/hub.h \
	src/master/lock.c src/master/lock.h \
	src/master/presence.c src/master/presence.h
