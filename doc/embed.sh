#!/bin/sh
# SPDX-License-Identifier: MIT
# Prints a C source that holds the JSON documents named as arguments, byte for
# byte: NAME=FILE becomes doc_NAME.
set -eu
LC_ALL=C
export LC_ALL

cat <<'EOT'
/* SPDX-License-Identifier: MIT */
/* Made by doc/embed.sh from the files in doc/. */
#include "worker/api_docs.h"
EOT
for arg in "$@"; do
	printf '\nconst char doc_%s[] =\n' "${arg%%=*}"
	"${AWK:-awk}" '
	{
		gsub(/[\\"]/, "\\\\&")
		gsub(/\t/, "\\t")
		gsub(/\?/, "\\?")
		printf "    \"%s\\n\"\n", $0
	}
	END { if (NR == 0) exit 1 }' "${arg#*=}"
	printf '    ;\nconst size_t doc_%s_len = sizeof(doc_%s) - 1;\n' \
	    "${arg%%=*}" "${arg%%=*}"
done
