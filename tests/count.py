#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Adds up what `make check` left in build directories.

Each test of TESTS leaves a .trs file with its result.  Where a runner tells
more (cmocka in the .log beside it, pytest in a .junit.xml), its own tests
are counted instead of the one program.  Prints "N passed, N failed" as its
last line; exits with 0 only when something passed and nothing failed.
"""

import argparse
import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree


def read(path):
    return path.read_text(errors="replace") if path.exists() else ""


REASON_MAX = 600


def reason(case):
    """Why a test of pytest failed, in a line."""
    for child in case:
        if child.tag in ("failure", "error"):
            text = " | ".join((child.get("message") or "").split("\n"))
            return text[:REASON_MAX]
    return ""


class Count:
    def __init__(self):
        self.passed = 0
        self.failed = []
        self.skipped = []
        self.reasons = []

    def add(self, passed, failed, skipped):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped

    def junit(self, path):
        """Returns (passed, failed names, skipped names) of one pytest run."""
        passed, failed, skipped = 0, [], []
        for case in ElementTree.parse(path).iter("testcase"):
            name = f"{case.get('classname')}::{case.get('name')}"
            kinds = {child.tag for child in case}
            if kinds & {"failure", "error"}:
                failed.append(name)
                self.reasons.append(f"{name}: {reason(case)}")
            elif "skipped" in kinds:
                skipped.append(name)
            else:
                passed += 1
        return passed, failed, skipped

    def cmocka(self, name, log):
        ok = re.findall(r"^\[       OK \] (\S+)", log, re.M)
        bad = re.findall(r"^\[  (?:FAILED|ERROR)  \] (\w+)$", log, re.M)
        skip = re.findall(r"^\[  SKIPPED \] (\w+)$", log, re.M)
        return (
            len(ok),
            sorted({f"{name}: {test}" for test in bad}),
            sorted({f"{name}: {test}" for test in skip}),
        )

    def result(self, trs):
        """Adds the tests of one .trs file."""
        name = str(trs.with_suffix(""))
        results = re.findall(r"^:test-result: (\w+)", read(trs), re.M)
        passed, failed, skipped = 0, [], []
        reports = sorted(trs.parent.glob(trs.stem + "*.junit.xml"))
        log = read(trs.with_suffix(".log"))
        if reports:
            for report in reports:
                p, f, s = self.junit(report)
                passed, failed, skipped = passed + p, failed + f, skipped + s
        elif "[==========]" in log:
            passed, failed, skipped = self.cmocka(name, log)
        else:
            passed = results.count("PASS") + results.count("XFAIL")
            skipped = [name] * results.count("SKIP")
        # The runner itself may have failed where no test of it did.
        bad = [r for r in results if r in ("FAIL", "ERROR", "XPASS")]
        if (bad or not results) and not failed:
            failed = [f"{name} ({', '.join(bad) or 'no result'})"]
        self.add(passed, failed, skipped)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", nargs="+", type=pathlib.Path)
    parser.add_argument(
        "--not-done", type=pathlib.Path, help="one failed step a line"
    )
    args = parser.parse_args()
    total = Count()
    for directory in args.directory:
        part = Count()
        for trs in sorted(directory.glob("tests/**/*.trs")):
            part.result(trs)
        print(
            f"{directory}: {part.passed} passed, {len(part.failed)} failed, "
            f"{len(part.skipped)} skipped"
        )
        if not part.passed and not part.failed:
            part.failed.append(f"{directory} (no test ran)")
        total.reasons += part.reasons
        total.add(part.passed, part.failed, part.skipped)
    if args.not_done:
        total.failed += read(args.not_done).splitlines()
    for name in total.skipped:
        print(f"skipped: {name}")
    for why in total.reasons:
        print(why)
    for name in total.failed:
        print(f"FAILED: {name}")
    print(f"{total.passed} passed, {len(total.failed)} failed")
    return 0 if total.passed and not total.failed else 1


if __name__ == "__main__":
    sys.exit(main())
