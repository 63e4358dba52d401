# SPDX-License-Identifier: MIT
master_sources =
