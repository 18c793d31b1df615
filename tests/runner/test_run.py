# SPDX-License-Identifier: BSD-2-Clause
"""tests/run itself: whatever goes wrong is counted, named at the end, and ends it with 1."""
import pathlib
import subprocess

import pytest

RUN = pathlib.Path(__file__).resolve().parents[1] / "run"
PLAN = "1..2"
OK, BAD = "ok 1 - first", "not ok 2 - second"


def run(*argv):
    done = subprocess.run([RUN, *argv], text=True, capture_output=True, timeout=60, check=False)
    return done.returncode, done.stdout.strip().splitlines()


def script(path, lines, status=0):
    path.write_text("\n".join(["#!/bin/sh", *[f"echo '{line}'" for line in lines], f"exit {status}\n"]))
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("lines, status, fails, last", [
    ([PLAN, OK, "ok 2 - second"], 0, [], "2 passed, 0 failed"),
    ([PLAN, OK, BAD], 1, ["second"], "1 passed, 1 failed"),
    ([PLAN, OK], 0, ["ended early"], "1 passed, 1 failed"),
    ([PLAN, OK, "ok 2 - second"], 139, ["ended early"], "2 passed, 1 failed"),
    ([], 0, ["ended early"], "0 passed, 1 failed"),
    ([PLAN, OK, "needs: wings", "ok 2 # SKIP second"], 0, [], "1 passed, 0 failed, 1 skipped"),
])
def test_program(tmp_path, lines, status, fails, last):
    code, told = run(script(tmp_path / "program", lines, status))
    assert [line.rpartition(": ")[2] for line in told if line.startswith("  FAIL  ")] == fails
    assert (code, told[-1]) == (1 if fails else 0, last)


def test_folder(tmp_path):
    (tmp_path / "test_two.py").write_text("def test_good(): pass\ndef test_bad(): assert False\n")
    code, told = run(tmp_path)
    assert (code, told[-1]) == (1, "1 passed, 1 failed")
    assert told[-2].startswith("  FAIL  ") and told[-2].endswith(": test_bad")


@pytest.mark.parametrize("lines, status, fails, last", [
    (["  ok      6.1         load  1.0 s", "1 passed, 0 failed"], 0, [], "1 passed, 0 failed"),
    (["  FAILED  6.1         load  1.0 s", "0 passed, 1 failed"], 1, ["6.1 load"], "0 passed, 1 failed"),
    (["  ok      6.1         load  1.0 s"], 0, ["ended with 0, its last line is 'ok      6.1         load  1.0 s'"], "0 passed, 1 failed"),
    (["1 passed, 0 failed"], 3, ["ended with 3, its last line is '1 passed, 0 failed'"], "1 passed, 1 failed"),
    (["  skipped 6.1         load  1.0 s", "1 passed, 0 failed, 1 skipped"], 0, [], "1 passed, 0 failed, 1 skipped"),
])
def test_suite(tmp_path, lines, status, fails, last):
    suite = script(tmp_path / "suite", lines, status)
    code, told = run(script(tmp_path / "program", [PLAN, OK, "ok 2 - second"]), "--suite", str(suite))
    passed, rest = last.split(" ", 1)
    assert [line.partition("suite: ")[2] for line in told if line.startswith("  FAIL  ")] == fails
    assert (code, told[-1]) == (1 if fails else 0, f"{int(passed) + 2} {rest}")
