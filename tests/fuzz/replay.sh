#!/bin/sh
# SPDX-License-Identifier: MIT
# Gives each fuzz target its checked-in corpus, once.  Under libFuzzer, too:
# -runs=0 makes it read the corpus and stop.
set -u
: "${top_srcdir:=.}" "${top_builddir:=.}"
status=0
for program in "$top_builddir"/tests/fuzz/fuzz_*; do
	if ! [ -f "$program" ] || ! [ -x "$program" ]; then
		continue # sources and objects, in a build in the tree
	fi
	corpus=$top_srcdir/tests/fuzz/corpus/${program##*/fuzz_}
	if ! [ -d "$corpus" ]; then
		echo "no corpus for $program"
		status=1
	elif ! "$program" -runs=0 "$corpus"; then
		echo "$program failed"
		status=1
	fi
done
for corpus in "$top_srcdir"/tests/fuzz/corpus/*; do
	[ -x "$top_builddir/tests/fuzz/fuzz_${corpus##*/}" ] || {
		echo "no target for $corpus"
		status=1
	}
done
exit $status
