# SPDX-License-Identifier: MIT
# Unit tests: one program a module, each in a fragment that adds its list of
# programs here and takes its flags from here.
unit_cppflags = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
unit_ldadd = $(LDADD) $(CMOCKA_LIBS)
include tests/unit/unit_data.mk
include tests/unit/unit_a.mk
include tests/unit/unit_b.mk
include tests/unit/unit_build.mk
include tests/unit/unit_c.mk
include tests/unit/unit_courier.mk
include tests/unit/unit_d.mk
include tests/unit/unit_e.mk
include tests/unit/unit_f.mk
include tests/unit/unit_g.mk
include tests/unit/unit_confine.mk
include tests/unit/unit_docs.mk
include tests/unit/unit_reload.mk
include tests/unit/unit_ten.mk
include tests/unit/unit_tls.mk
include tests/unit/unit_tok.mk
include tests/unit/unit_notify.mk
unit_tests = $(unit_a_programs) $(unit_b_programs) $(unit_build_programs) $(unit_c_programs) \
	$(unit_d_programs) $(unit_e_programs) $(unit_f_programs) $(unit_g_programs) \
	$(unit_confine_programs) \
	$(unit_docs_programs) $(unit_reload_programs) \
	$(unit_ten_programs) $(unit_tls_programs) $(unit_tok_programs) \
	$(unit_notify_programs) $(unit_courier_programs)

if HAVE_CMOCKA
check_PROGRAMS += $(unit_tests)
TESTS += $(unit_tests)
endif
