# SPDX-License-Identifier: MIT
worker_sources =
worker_sources += src/worker/ws_frame.c src/worker/ws_frame.h

# HTTP and the REST API.
worker_sources += \
	src/worker/api.h \
	src/worker/api_acks.c \
	src/worker/api_args.c src/worker/api_args.h \
	src/worker/api_health.c \
	src/worker/api_members.c \
	src/worker/api_messages.c \
	src/worker/api_rooms.c src/worker/api_rooms.h \
	src/worker/api_tenants.c \
	src/worker/auth.c src/worker/auth.h \
	src/worker/guard.c src/worker/guard.h \
	src/worker/http.c src/worker/http.h src/worker/http_int.h \
	src/worker/http_conn.c \
	src/worker/http_reply.c \
	src/worker/reader.c src/worker/reader.h src/worker/reader_int.h \
	src/worker/reader_messages.c \
	src/worker/reader_rooms.c \
	src/worker/route.c src/worker/route.h \
	src/worker/ws_upgrade.c src/worker/ws_upgrade.h
