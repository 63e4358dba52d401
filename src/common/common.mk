# SPDX-License-Identifier: MIT
common_sources =

# Settings, texts and limits.
common_sources += \
	src/common/config.c src/common/config.h \
	src/common/config_file.c \
	src/common/config_record.c \
	src/common/config_values.c src/common/config_values.h \
	src/common/dsn.c src/common/dsn.h \
	src/common/duration.c src/common/duration.h \
	src/common/json_check.c src/common/json_check.h \
	src/common/json_text.c src/common/json_text.h \
	src/common/rate.c src/common/rate.h \
	src/common/utf8.c src/common/utf8.h
