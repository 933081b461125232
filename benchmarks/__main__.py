"""``python -m benchmarks [SUBJECT ...]``: measure the subjects named, or all of them, and keep their results."""

import argparse
import time
from importlib import import_module

from benchmarks.harness import Options, save, say, show

SUBJECTS = ("engine", "store", "portfolios", "nightly", "backfill", "growth")


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("subjects", nargs="*", choices=[*SUBJECTS, []], default=[], metavar="SUBJECT")
    parser.add_argument("--repeats", type=int, default=5, help="timed runs of each contender (default 5)")
    parser.add_argument("--quick", action="store_true", help="small sizes, nothing saved: does it run at all?")
    given = parser.parse_args()
    options = Options(repeats=given.repeats, quick=given.quick)
    for subject in given.subjects or SUBJECTS:
        say(f"{subject} ...")
        began = time.perf_counter()
        reports = import_module(f"benchmarks.{subject}").measure(options)
        for report in reports:
            show(report)
        if not options.quick:
            save(subject, reports, seconds=time.perf_counter() - began, options=options)


if __name__ == "__main__":
    main()
