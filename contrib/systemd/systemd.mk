# SPDX-License-Identifier: MIT
# Units, and who and what is there before the first start.
EXTRA_DIST += \
	contrib/systemd/chatapi.service.in \
	contrib/systemd/chatapi.socket \
	contrib/systemd/sysusers.d/chatapi.conf \
	contrib/systemd/tmpfiles.d/chatapi.conf.in
CLEANFILES += contrib/systemd/chatapi.service \
	contrib/systemd/tmpfiles.d/chatapi.conf
if INSTALL_UNIT
systemdsystemunit_DATA = contrib/systemd/chatapi.service
sysusersdir = $(prefix)/lib/sysusers.d
sysusers_DATA = contrib/systemd/sysusers.d/chatapi.conf
tmpfilesdir = $(prefix)/lib/tmpfiles.d
tmpfiles_DATA = contrib/systemd/tmpfiles.d/chatapi.conf
if HAVE_SYSTEMD
systemdsystemunit_DATA += contrib/systemd/chatapi.socket
endif
endif

contrib/systemd/chatapi.service: contrib/systemd/chatapi.service.in Makefile
	$(AM_V_at)$(MKDIR_P) contrib/systemd
	$(AM_V_GEN)$(SED) -e 's|@bindir[@]|$(bindir)|g' \
	    -e 's|@sysconfdir[@]|$(sysconfdir)|g' \
	    -e 's|@SYSTEMD_TYPE[@]|$(SYSTEMD_TYPE)|g' \
	    -e 's|@SYSTEMD_WATCHDOG[@]|$(SYSTEMD_WATCHDOG)|g' \
	    $(srcdir)/contrib/systemd/chatapi.service.in >$@.new && mv $@.new $@

contrib/systemd/tmpfiles.d/chatapi.conf: \
    contrib/systemd/tmpfiles.d/chatapi.conf.in Makefile
	$(AM_V_at)$(MKDIR_P) contrib/systemd/tmpfiles.d
	$(AM_V_GEN)$(SED) -e 's|@sysconfdir[@]|$(sysconfdir)|g' \
	    $(srcdir)/$@.in >$@.new && mv $@.new $@
check_DATA += contrib/systemd/chatapi.service
