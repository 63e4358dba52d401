#!/bin/sh
# SPDX-License-Identifier: MIT
exec "${PYTHON:-/usr/bin/python3}" "$(dirname "$0")/docker.py"
