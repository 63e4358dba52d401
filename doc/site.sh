#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: doc/site.sh SOURCE-DIRECTORY OUTPUT-DIRECTORY
#
# Makes one static site of the pages in doc/, with a reference made of the
# API's descriptions.  Needs MkDocs (Debian package: mkdocs).
set -eu
[ $# = 2 ] || {
	sed -n '3,6s/^# \{0,1\}//p' "$0" >&2
	exit 2
}
command -v mkdocs >/dev/null || {
	echo "make doc needs mkdocs (Debian package: mkdocs)" >&2
	exit 1
}
source=$1/doc
html=$2
work=$html.tmp
rm -rf "$work" "$html"
mkdir -p "$work/pages"
for page in "$source"/*.md; do
	# What is not part of the site is named, and not linked to.
	sed 's|\[\([^]]*\)\](\.\./\([^)]*\))|\1 (`\2`)|g' "$page" \
	    >"$work/pages/${page##*/}"
done
"${PYTHON:-python3}" "$source/reference.py" "$source/openapi.json" \
    "$source/asyncapi.json" >"$work/pages/reference.md"
cp "$source/mkdocs.yml" "$work/"
cp "$source/site.css" "$work/pages/"
[ ! -d "$source/img" ] || cp -R "$source/img" "$work/pages/"
mkdocs build --quiet --strict --config-file "$work/mkdocs.yml" \
    --site-dir ../html
rm -rf "$work"
