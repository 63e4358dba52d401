# SPDX-License-Identifier: MIT
common_sources =

# Settings, texts and limits.
common_sources += \
	src/common/config.c src/common/config.h \
	src/common/config_diff.c \
	src/common/config_file.c \
	src/common/config_listen.c \
	src/common/config_record.c \
	src/common/config_values.c src/common/config_values.h \
	src/common/dsn.c src/common/dsn.h \
	src/common/duration.c src/common/duration.h \
	src/common/json_check.c src/common/json_check.h \
	src/common/json_scan.h \
	src/common/json_text.c src/common/json_text.h \
	src/common/rate.c src/common/rate.h \
	src/common/utf8.c src/common/utf8.h

# Memory, time, the log.
common_sources += \
	src/common/buf.c src/common/buf.h \
	src/common/clock.c src/common/clock.h \
	src/common/log.c src/common/log.h \
	src/common/mem.c src/common/mem.h

# What crosses processes.
common_sources += \
	src/common/link.c src/common/link.h src/common/link_int.h \
	src/common/link_read.c \
	src/common/link_write.c \
	src/common/submit.c src/common/submit.h \
	src/common/tls_context.c src/common/tls_context.h \
	src/common/tls_pair.c src/common/tls_pair.h \
	src/common/unix_sock.c src/common/unix_sock.h \
	src/common/page.c src/common/page.h \
	src/common/records.h \
	src/common/records_bus.c \
	src/common/records_courier.c src/common/records_courier.h \
	src/common/records_event.c \
	src/common/records_fields.c src/common/records_fields.h \
	src/common/records_notify.c src/common/records_notify.h \
	src/common/records_op.c \
	src/common/records_tenant.c src/common/records_tenant.h \
	src/common/records_token.c src/common/records_token.h \
	src/common/wire.c src/common/wire.h

# Ids, keys and what all parts say alike.
common_sources += \
	src/common/ids.c src/common/ids.h \
	src/common/key.c src/common/key.h \
	src/common/message.c src/common/message.h \
	src/common/notify_text.c src/common/notify_text.h \
	src/common/outcome.c src/common/outcome.h \
	src/common/room_text.c src/common/room_text.h \
	src/common/secret.c src/common/secret.h \
	src/common/addr_nets.c src/common/addr_nets.h \
	src/common/addr_public.c src/common/addr_public.h \
	src/common/tenant_rules.c src/common/tenant_rules.h \
	src/common/tenant_text.c src/common/tenant_text.h

# The process.
common_sources += \
	src/common/confine.c src/common/confine.h \
	src/common/confine_calls.c src/common/confine_files.c \
	src/common/identity.c src/common/identity.h \
	src/common/loop.c src/common/loop.h \
	src/common/proctitle.c src/common/proctitle.h
