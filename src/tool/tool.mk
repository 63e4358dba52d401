# SPDX-License-Identifier: MIT
tool_sources =
