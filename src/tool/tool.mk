# SPDX-License-Identifier: MIT
tool_sources = \
	src/tool/tool.c \
	src/tool/tool.h \
	src/tool/tool_backup.c \
	src/tool/tool_check.c \
	src/tool/tool_check.h \
	src/tool/tool_check_rooms.c \
	src/tool/tool_check_waiting.c \
	src/tool/tool_erase.c \
	src/tool/tool_file.c \
	src/tool/tool_int.h \
	src/tool/tool_key.c \
	src/tool/tool_move.c \
	src/tool/tool_print.c \
	src/tool/tool_progress.c \
	src/tool/tool_restore.c \
	src/tool/tool_status.c \
	src/tool/tool_submit.c \
	src/tool/tool_tenant.c \
	src/tool/tool_tenant_change.c
