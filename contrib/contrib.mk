# SPDX-License-Identifier: MIT
# What is installed to be read and copied from.
examplesdir = $(docdir)/examples
dist_examples_DATA = contrib/prometheus/alerts.yml \
	contrib/prometheus/prometheus.yml \
	contrib/caddy/Caddyfile contrib/haproxy/haproxy.cfg
grafanadir = $(examplesdir)/grafana
dist_grafana_DATA = contrib/grafana/chatapi.json
sysctldir = $(examplesdir)/sysctl
dist_sysctl_DATA = contrib/sysctl/chatapi.conf
nginxdir = $(examplesdir)/nginx
dist_nginx_DATA = contrib/nginx/chatapi.conf
dist_examples_SCRIPTS = contrib/demo contrib/salvage contrib/ws-client

# The settings of a server that is a service.  A file that is there is the
# operator's and stays, and so does one that he has changed.
system_conf = contrib/etc/chatapi.conf
confdir = $(sysconfdir)/chatapi
noinst_DATA += $(system_conf)
CLEANFILES += $(system_conf)

$(system_conf): contrib/chatapi.conf
	$(AM_V_at)$(MKDIR_P) contrib/etc
	$(AM_V_GEN)$(SED) \
	    -e 's|^#database_dsn =.*|database_dsn = file:/var/lib/chatapi/chatapi.db|' \
	    -e 's|^#user =.*|user = chatapi|' \
	    $(srcdir)/contrib/chatapi.conf >$@.new && mv $@.new $@

install-data-local: $(system_conf)
	$(MKDIR_P) "$(DESTDIR)$(confdir)"
	test -e "$(DESTDIR)$(confdir)/chatapi.conf" || \
	    $(INSTALL_DATA) $(system_conf) "$(DESTDIR)$(confdir)"

uninstall-local:
	! cmp -s $(system_conf) "$(DESTDIR)$(confdir)/chatapi.conf" || \
	    rm -f "$(DESTDIR)$(confdir)/chatapi.conf"
