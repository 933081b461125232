"""``python -m benchmarks [SUBJECT ...]``: measure the subjects named, or all of them, and keep their results."""

import argparse
import subprocess
import sys
import time
from importlib import import_module

from benchmarks.harness import Options, save, say, show

SUBJECTS = (
    *("engine", "store", "nightly", "executors", "engines", "backfill", "portfolios", "slices", "growth"),
    *("api", "processes", "page"),
)


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("subjects", nargs="*", choices=[*SUBJECTS, []], default=[], metavar="SUBJECT")
    parser.add_argument("--repeats", type=int, default=5, help="timed runs of each contender (default 5)")
    parser.add_argument("--quick", action="store_true", help="small sizes, nothing saved: does it run at all?")
    given = parser.parse_args()
    subjects = given.subjects or SUBJECTS
    if len(subjects) > 1:
        # Each in a process of its own: what one imports or leaves in memory is not the next one's.
        flags = ["--repeats", str(given.repeats), *(["--quick"] if given.quick else [])]
        for subject in subjects:
            subprocess.run([sys.executable, "-m", "benchmarks", subject, *flags], check=True)
    else:
        _measure(subjects[0], Options(repeats=given.repeats, quick=given.quick))


def _measure(subject: str, options: Options) -> None:
    say(f"{subject} ...")
    began = time.perf_counter()
    reports = import_module(f"benchmarks.{subject}").measure(options)
    for report in reports:
        show(report)
    if not options.quick:
        save(subject, reports, seconds=time.perf_counter() - began, options=options)


if __name__ == "__main__":
    main()
