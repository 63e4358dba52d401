#!/bin/sh
# SPDX-License-Identifier: MIT
# Prints a C source that holds the migrations named as arguments: files
# NNNN_name.sql, numbered from 0001 without a hole.
set -eu
LC_ALL=C
export LC_ALL

cat <<'EOF'
/* SPDX-License-Identifier: MIT */
/* Made by sql/embed.sh from the files in sql/. */
#include "writer/migrations.h"

const struct migration migrations[] = {
EOF
n=0
for f in "$@"; do
	n=$((n + 1))
	name=$(basename "$f" .sql)
	case $name in
	"$(printf '%04d' "$n")"_[a-z]*) ;;
	*)
		echo "embed.sh: $f: expected number $n and a name" >&2
		exit 1
		;;
	esac
	printf '\t{ %u, "%s",\n' "$n" "$name"
	"${AWK:-awk}" '
	{
		gsub(/\\/, "\\\\")
		gsub(/"/, "\\\"")
		gsub(/\t/, "\\t")
		gsub(/\?/, "\\?")
		printf "\t    \"%s\\n\"\n", $0
	}
	END { if (NR == 0) exit 1 }' "$f"
	printf '\t},\n'
done
printf '};\nconst unsigned migrations_count = %u;\n' "$n"
