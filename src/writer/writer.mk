# SPDX-License-Identifier: MIT
writer_sources = \
	src/writer/backup.c \
	src/writer/backup.h \
	src/writer/checkpoint.c \
	src/writer/commit.c \
	src/writer/commit.h \
	src/writer/migrate.c \
	src/writer/migrations.h \
	src/writer/queue.c \
	src/writer/queue.h \
	src/writer/receipts.c \
	src/writer/receipts.h \
	src/writer/store.c \
	src/writer/store.h \
	src/writer/store_backup.c \
	src/writer/store_change.c \
	src/writer/store_disk.c \
	src/writer/store_index.c \
	src/writer/store_int.h \
	src/writer/store_key.c \
	src/writer/store_member.c \
	src/writer/store_message.c \
	src/writer/store_room.c \
	src/writer/store_room_change.c \
	src/writer/store_seal.c \
	src/writer/store_sql.c \
	src/writer/store_sweep.c \
	src/writer/store_tenant.c \
	src/writer/store_tenant.h \
	src/writer/store_tenant_change.c \
	src/writer/store_ws_token.c \
	src/writer/store_vfs.c \
	src/writer/writer.c \
	src/writer/writer.h
