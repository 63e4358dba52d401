# SPDX-License-Identifier: MIT
# The migrations, oldest first; embedded in the program and installed to read.
migrations = sql/0001_init.sql sql/0002_changes.sql \
	sql/0003_tenants.sql sql/0004_channels.sql sql/0005_notify.sql \
	sql/0006_webhooks.sql \
	sql/0007_erasure.sql sql/0008_tokens.sql \
	sql/0009_keys_by_kind.sql

sql_generated = src/writer/migrations.gen.c
CLEANFILES += $(sql_generated)
EXTRA_DIST += $(migrations) sql/embed.sh
sqldir = $(pkgdatadir)/sql
sql_DATA = $(migrations)

src/writer/migrations.gen.c: $(migrations) sql/embed.sh
	$(AM_V_at)$(MKDIR_P) src/writer
	$(AM_V_GEN)(cd $(srcdir) && AWK='$(AWK)' $(SHELL) sql/embed.sh \
	    $(migrations)) >$@.new && mv $@.new $@
