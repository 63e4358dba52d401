# SPDX-License-Identifier: MIT
# What is installed to be read and copied from.
examplesdir = $(docdir)/examples
dist_examples_DATA = contrib/prometheus/alerts.yml \
	contrib/prometheus/prometheus.yml
dist_examples_SCRIPTS = contrib/demo contrib/ws-client
