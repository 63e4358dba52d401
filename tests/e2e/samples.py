# SPDX-License-Identifier: MIT
"""The samples in README.md-like pages: finds them and says how each is run.

A page is one run: its `sh` blocks make one script, in order, in an empty
directory.  A comment in front of a block says otherwise:
  <!-- file: NAME -->        the block is that file of the directory
  <!-- tested by PATH -->    another test runs it
  <!-- browser: A, B -->     JavaScript of a page that knows these variables
  <!-- frame -->, <!-- example -->   JSON with … where something is left out
  <!-- unit -->              a fragment of systemd or another program's file
A block without a language is no sample.  Everything else must be one that
runs: an unknown language fails the test.
"""
import os
import re

FENCE = re.compile(r"^```(\S*)\s*$")
NOTE = re.compile(r"^<!-- (.+?) -->$")


class Block:
    def __init__(self, page, line, language, note, text):
        self.page = page
        self.line = line
        self.language = language
        self.kind, _, value = (note or "").partition(":")
        self.value = value.strip()
        if self.kind.startswith("tested by "):
            self.kind, self.value = "tested", self.kind[len("tested by "):]
        self.text = text

    def __repr__(self):
        return f"{os.path.basename(self.page)}:{self.line}"


def blocks(page):
    """All fenced blocks of a page, in order."""
    out, note, inside = [], None, None
    with open(page, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            line = line.rstrip("\n")
            fence = FENCE.match(line)
            if inside is not None:
                if fence and not fence.group(1):
                    out.append(Block(page, *inside[:3],
                                     "\n".join(inside[3]) + "\n"))
                    inside = None
                else:
                    inside[3].append(line)
            elif fence:
                inside = [number, fence.group(1), note, []]
                note = None
            elif NOTE.match(line):
                note = NOTE.match(line).group(1)
            elif line.strip():
                note = None
    assert inside is None, f"{page}:{inside[0]}: the block has no end"
    return out


def whole(text):
    """JSON text of which parts are left out, as JSON."""
    text = re.sub(r"…\s*,|,\s*…", lambda m: "" if "," in m.group() else m[0],
                  text)
    return re.sub(r"([\[{])\s*…\s*([\]}])", r"\1\2", text)
