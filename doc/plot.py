#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Draws the plots of doc/benchmarks.md from doc/figures.json.

usage: plot.py figures.json DIRECTORY

Each plot is a set of horizontal bars in one SVG file; no library is needed.
"""
import json
import os
import sys
from xml.sax.saxutils import escape

WIDTH, LEFT, ROW, TOP = 760, 250, 30, 56
COLOURS = {"server": "#0f766e", "raw": "#94a3b8", "other": "#b45309"}


def bar(y, row, most):
    length = max(2, row["value"] / most * (WIDTH - LEFT - 120))
    said = f"{row['value']:,}" + (f" {row['note']}" if "note" in row else "")
    return (
        f'<text x="{LEFT - 10}" y="{y + 15}" text-anchor="end">'
        f'{escape(row["name"])}</text>'
        f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="20" rx="3"'
        f' fill="{COLOURS[row["kind"]]}"/>'
        f'<text x="{LEFT + length + 8:.1f}" y="{y + 15}">'
        f'{escape(said)}</text>')


def plot(figure):
    rows = figure["rows"]
    height = TOP + ROW * len(rows) + 10
    most = max(row["value"] for row in rows)
    bars = "\n".join(bar(TOP + ROW * i, row, most)
                     for i, row in enumerate(rows))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH}'
        f' {height}" font-family="system-ui, sans-serif" font-size="13"'
        f' role="img" aria-label="{escape(figure["title"])}">\n'
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>\n'
        f'<g fill="#17212b">\n<text x="16" y="26" font-size="15"'
        f' font-weight="600">{escape(figure["title"])}</text>\n'
        f'<text x="16" y="44" fill="#5b6875">{escape(figure["unit"])}'
        f'</text>\n{bars}\n</g>\n</svg>\n')


def main(figures, directory):
    with open(figures, encoding="utf-8") as f:
        for figure in json.load(f):
            path = os.path.join(directory, figure["file"])
            with open(path, "w", encoding="utf-8") as out:
                out.write(plot(figure))


if len(sys.argv) != 3:
    sys.exit(__doc__)
main(*sys.argv[1:])
