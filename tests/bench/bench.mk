# SPDX-License-Identifier: MIT
# The load generator.  `make check` only compiles it; `make bench` runs every
# mode for a short time, `tests/bench/run` as long as one likes.
check_PROGRAMS += tests/bench/chatapi-bench
tests_bench_chatapi_bench_SOURCES = \
	tests/bench/bench.c tests/bench/bench.h \
	tests/bench/http_pool.c tests/bench/http_pool.h \
	tests/bench/live.c tests/bench/live.h \
	tests/bench/mode_big.c \
	tests/bench/mode_fanout.c tests/bench/mode_idle.c \
	tests/bench/mode_recover.c \
	tests/bench/mode_rest.c tests/bench/mode_slow.c \
	tests/bench/mode_storm.c tests/bench/mode_sync.c \
	tests/bench/mode_ws_send.c \
	tests/bench/net.c tests/bench/net.h \
	tests/bench/phase.c tests/bench/phase.h \
	tests/bench/plan.c tests/bench/plan.h \
	tests/bench/proc.c tests/bench/proc.h \
	tests/bench/raw_append.c tests/bench/raw_fanout.c \
	tests/bench/raw_sync.c \
	tests/bench/stats.c tests/bench/stats.h \
	tests/bench/victim.c tests/bench/victim.h \
	tests/bench/window.c tests/bench/window.h \
	tests/bench/ws_pool.c tests/bench/ws_pool.h \
	tests/bench/ws_text.c tests/bench/ws_text.h
tests_bench_chatapi_bench_LDADD = $(SQLITE_LIBS) -lm
EXTRA_DIST += tests/bench/run tests/bench/bench_server.py \
	tests/bench/bench_delivery.py

# BENCHFLAGS are tests/bench/run's; without --quick it takes ten minutes.
BENCHFLAGS = --quick
.PHONY: bench
bench: chatapi$(EXEEXT) tests/bench/chatapi-bench$(EXEEXT)
	$(PYTHON) $(srcdir)/tests/bench/run --server ./chatapi$(EXEEXT) \
	    --bench tests/bench/chatapi-bench$(EXEEXT) $(BENCHFLAGS)
