# SPDX-License-Identifier: MIT
worker_sources =
worker_sources += src/worker/ws_frame.c src/worker/ws_frame.h
