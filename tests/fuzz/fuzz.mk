# SPDX-License-Identifier: MIT
#
# Fuzz targets: tests/fuzz/fuzz_NAME.c with seeds in tests/fuzz/corpus/NAME.
# `make check` replays the corpus.  To look for more, in a build directory:
#   ../configure CC=clang --enable-fuzzing --enable-sanitizers && make check
#   mkdir new && tests/fuzz/fuzz_NAME -max_total_time=120 new \
#       ../tests/fuzz/corpus/NAME
# and keep what is worth it by -merge=1 into the checked-in corpus.
if ENABLE_FUZZING
fuzz_main = tests/fuzz/fuzz.h
else
fuzz_main = tests/fuzz/fuzz.h tests/fuzz/replay.c
endif
fuzz_ldflags = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)

# One line here and two below for each target.
check_PROGRAMS += \
	tests/fuzz/fuzz_json \
	tests/fuzz/fuzz_jwt \
	tests/fuzz/fuzz_records \
	tests/fuzz/fuzz_request \
	tests/fuzz/fuzz_route \
	tests/fuzz/fuzz_settings \
	tests/fuzz/fuzz_ws_frame

tests_fuzz_fuzz_json_SOURCES = tests/fuzz/fuzz_json.c $(fuzz_main)
tests_fuzz_fuzz_json_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_jwt_SOURCES = tests/fuzz/fuzz_jwt.c $(fuzz_main)
tests_fuzz_fuzz_jwt_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_records_SOURCES = tests/fuzz/fuzz_records.c \
	tests/unit/records_copy.c tests/unit/records_copy.h $(fuzz_main)
tests_fuzz_fuzz_records_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_request_SOURCES = tests/fuzz/fuzz_request.c $(fuzz_main)
tests_fuzz_fuzz_request_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_route_SOURCES = tests/fuzz/fuzz_route.c $(fuzz_main)
tests_fuzz_fuzz_route_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_settings_SOURCES = tests/fuzz/fuzz_settings.c $(fuzz_main)
tests_fuzz_fuzz_settings_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_ws_frame_SOURCES = tests/fuzz/fuzz_ws_frame.c $(fuzz_main)
tests_fuzz_fuzz_ws_frame_LDFLAGS = $(fuzz_ldflags)

TESTS += tests/fuzz/replay.sh
EXTRA_DIST += tests/fuzz/replay.sh tests/fuzz/replay.c tests/fuzz/corpus
