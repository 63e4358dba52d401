# SPDX-License-Identifier: MIT
#
# Libraries that the end-to-end tests load into the program (LD_PRELOAD) to
# stand between it and its disk or its clock, or to try from within what it
# may do.  Always without sanitizers:
# they are loaded before a sanitizer's own library.
fault_libraries = tests/fault/preload_disk.so tests/fault/preload_clock.so \
	tests/fault/preload_tries.so
fault_disk_sources = tests/fault/disk.c tests/fault/journal.c
fault_clock_sources = tests/fault/clock.c
fault_tries_sources = tests/fault/tries.c
check_DATA += $(fault_libraries)
CLEANFILES += $(fault_libraries)
EXTRA_DIST += tests/fault/disk.h $(fault_disk_sources) \
	$(fault_clock_sources) $(fault_tries_sources)

# No large-file or fortified names in place of those that are defined here.
fault_link = $(CC) -std=gnu11 -D_GNU_SOURCE $(CPPFLAGS) $(CFLAGS) -Wall \
	-Wextra -U_FORTIFY_SOURCE -U_FILE_OFFSET_BITS -fno-sanitize=all \
	-fPIC -shared $(LDFLAGS)

tests/fault/preload_disk.so: $(fault_disk_sources) tests/fault/disk.h
	$(AM_V_CCLD)$(MKDIR_P) tests/fault && $(fault_link) -o $@ \
	    $(top_srcdir)/tests/fault/disk.c \
	    $(top_srcdir)/tests/fault/journal.c -ldl -lpthread

tests/fault/preload_clock.so: $(fault_clock_sources)
	$(AM_V_CCLD)$(MKDIR_P) tests/fault && $(fault_link) -o $@ \
	    $(top_srcdir)/tests/fault/clock.c -ldl

tests/fault/preload_tries.so: $(fault_tries_sources)
	$(AM_V_CCLD)$(MKDIR_P) tests/fault && $(fault_link) -o $@ \
	    $(top_srcdir)/tests/fault/tries.c
