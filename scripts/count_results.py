"""Counts the test cases in the reports that scripts/test gathered and prints one line.

A folder with ctest.xml holds the report of ctest and one JSON report for each GoogleTest program; pytest.xml is
pytest's; steps.txt has a line `passed NAME` or `failed NAME` for each check without a report. A test program
that ended without a report, or failed although all its cases passed, counts as one failure more.
"""

import json
import pathlib
import sys
import xml.etree.ElementTree as xml
from collections import Counter


def count_gtest(path):
    counts = Counter()
    for suite in json.loads(path.read_text())["testsuites"]:
        for case in suite["testsuite"]:
            if case["status"] == "NOTRUN":
                continue
            if "failures" in case:
                counts["failed"] += 1
            else:
                counts["skipped" if case["result"] == "SKIPPED" else "passed"] += 1
    return counts


def count_ctest(folder):
    """One program is one case of ctest; its own report, when it has one, says how many cases it ran."""
    counts = Counter()
    for case in xml.parse(folder / "ctest.xml").getroot().iter("testcase"):
        status = "passed" if case.get("status") == "run" else "failed"
        report = folder / f"{case.get('name')}_test.json"
        try:
            own = count_gtest(report)
        except (OSError, ValueError, KeyError):
            own = Counter({status: 1})
        if status == "failed" and own["failed"] == 0:
            own["failed"] = 1
        counts += own
    return counts


def count_pytest(path):
    counts = Counter()
    for case in xml.parse(path).getroot().iter("testcase"):
        tags = {child.tag for child in case}
        counts["failed" if tags & {"failure", "error"} else "skipped" if "skipped" in tags else "passed"] += 1
    return counts


def count_steps(path):
    return Counter(line.split()[0] for line in path.read_text().splitlines())


def count_all(reports):
    counts = Counter()
    for report in reports.glob("*/ctest.xml"):
        counts += count_ctest(report.parent)
    if (reports / "pytest.xml").exists():
        counts += count_pytest(reports / "pytest.xml")
    counts += count_steps(reports / "steps.txt")
    return counts


def main():
    counts = count_all(pathlib.Path(sys.argv[1]))
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return 1 if counts["failed"] or not counts["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
