# SPDX-License-Identifier: MIT
EXTRA_DIST += contrib/systemd/chatapi.service.in
CLEANFILES += contrib/systemd/chatapi.service
if INSTALL_UNIT
systemdsystemunit_DATA = contrib/systemd/chatapi.service
endif

contrib/systemd/chatapi.service: contrib/systemd/chatapi.service.in Makefile
	$(AM_V_at)$(MKDIR_P) contrib/systemd
	$(AM_V_GEN)$(SED) -e 's|@bindir[@]|$(bindir)|g' \
	    -e 's|@SYSTEMD_TYPE[@]|$(SYSTEMD_TYPE)|g' \
	    $(srcdir)/contrib/systemd/chatapi.service.in >$@.new && mv $@.new $@
