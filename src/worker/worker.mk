# SPDX-License-Identifier: MIT
worker_sources =
