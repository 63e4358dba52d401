# SPDX-License-Identifier: MIT
worker_sources =
worker_sources += src/worker/ws_frame.c src/worker/ws_frame.h

# HTTP and the REST API.
worker_sources += \
	src/worker/api.h \
	src/worker/api_acks.c \
	src/worker/api_args.c src/worker/api_args.h \
	src/worker/api_channels.c \
	src/worker/api_console.c \
	src/worker/api_dead_letters.c \
	src/worker/api_docs.c src/worker/api_docs.h \
	src/worker/api_health.c \
	src/worker/api_members.c \
	src/worker/api_message_change.c \
	src/worker/api_metrics.c \
	src/worker/api_messages.c \
	src/worker/api_notify.c \
	src/worker/api_room_change.c \
	src/worker/api_rooms.c src/worker/api_rooms.h \
	src/worker/api_keys.c \
	src/worker/api_subscriptions.c \
	src/worker/api_tenants.c src/worker/api_tenants.h \
	src/worker/api_tenant_change.c \
	src/worker/accept.c src/worker/accept.h \
	src/worker/api_ws_token.c \
	src/worker/auth.c src/worker/auth.h \
	src/worker/auth_jwt.c src/worker/auth_jwt.h \
	src/worker/console.c src/worker/console.h \
	src/worker/cors.c src/worker/cors.h \
	src/worker/forwarded.c src/worker/forwarded.h \
	src/worker/guard.c src/worker/guard.h \
	src/worker/http.c src/worker/http.h src/worker/http_int.h \
	src/worker/http_accept.c \
	src/worker/http_conn.c \
	src/worker/http_forwarded.c \
	src/worker/http_identity.c \
	src/worker/http_reply.c \
	src/worker/http_stop.c \
	src/worker/http_scan.c src/worker/http_scan.h \
	src/worker/http_tls.c \
	src/worker/jwt.c src/worker/jwt.h \
	src/worker/metrics.c src/worker/metrics.h src/worker/metrics_int.h \
	src/worker/metrics_json.c src/worker/metrics_text.c \
	src/worker/reader.c src/worker/reader.h src/worker/reader_int.h \
	src/worker/reader_dead.c \
	src/worker/reader_messages.c \
	src/worker/reader_notify.c src/worker/reader_notify.h \
	src/worker/reader_rooms.c \
	src/worker/reader_tenants.c \
	src/worker/reader_tokens.c \
	src/worker/route.c src/worker/route.h \
	src/worker/ws_upgrade.c src/worker/ws_upgrade.h

# The process, its WebSockets and what feeds them.
worker_sources += \
	src/worker/bus.c src/worker/bus.h \
	src/worker/fanout.c src/worker/fanout.h \
	src/worker/feed.c src/worker/feed.h src/worker/feeder.h \
	src/worker/feed_list.c \
	src/worker/feed_page.c \
	src/worker/feed_tell.c \
	src/worker/fields.c src/worker/fields.h \
	src/worker/frame_cache.c src/worker/frame_cache.h \
	src/worker/inbox.c src/worker/inbox.h \
	src/worker/reader_feed.c \
	src/worker/reader_peers.c \
	src/worker/resume.c src/worker/resume.h \
	src/worker/room_json.c src/worker/room_json.h \
	src/worker/rooms.c src/worker/rooms.h \
	src/worker/roster.c src/worker/roster.h \
	src/worker/tls.c src/worker/tls.h \
	src/worker/tls_io.c src/worker/tls_io.h \
	src/worker/told.c src/worker/told.h \
	src/worker/typing.c src/worker/typing.h \
	src/worker/users.c src/worker/users.h \
	src/worker/worker.c src/worker/worker.h src/worker/worker_start.h \
	src/worker/ws_commands.c src/worker/ws_commands.h \
	src/worker/ws_operations.c src/worker/ws_command.h \
	src/worker/ws_conn.c src/worker/ws_conn.h \
	src/worker/ws_list.c src/worker/ws_list.h \
	src/worker/ws_out.c src/worker/ws_out.h \
	src/worker/ws_presence.c src/worker/ws_presence.h \
	src/worker/ws_presence_int.h \
	src/worker/ws_presence_later.c \
	src/worker/ws_presence_list.c
