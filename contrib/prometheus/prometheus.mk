# SPDX-License-Identifier: MIT
EXTRA_DIST += contrib/prometheus/alerts.yml contrib/prometheus/prometheus.yml
