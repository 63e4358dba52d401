# SPDX-License-Identifier: MIT
dist_doc_DATA = README doc/api.md doc/architecture.md doc/metrics.md
