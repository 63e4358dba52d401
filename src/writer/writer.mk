# SPDX-License-Identifier: MIT
writer_sources =
