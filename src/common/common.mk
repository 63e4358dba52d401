# SPDX-License-Identifier: MIT
common_sources =
