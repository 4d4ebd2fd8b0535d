"""Runs the benchmarks on SQLite and, where DATABASE_URL names a PostgreSQL server, on that; see `--help`."""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("live", "calls", "collect", "claim", "stored", "series", "growth", "memory")
BY_DEFAULT = PARTS[:-2]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    told = f"any of {', '.join(PARTS)}; all but the last two by default"
    parser.add_argument("parts", nargs="*", metavar="part", help=told)
    parser.add_argument("--targets", type=int, default=20_000, help="due targets to collect and to store history of")
    parser.add_argument("--snapshots", type=int, default=200_000, help="stored snapshots that reads are measured with")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each read is measured")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    sizes = (options.targets, options.snapshots, options.seconds)
    arguments = [*map(str, sizes), *(options.parts or BY_DEFAULT)]
    with tempfile.TemporaryDirectory(prefix="postfuze-bench-") as folder:
        databases = [f"sqlite:///{folder}/bench.sqlite3"]
        if os.environ.get("DATABASE_URL", "").startswith("postgres"):
            databases.append(os.environ["DATABASE_URL"])
        for url in databases:
            command = [sys.executable, "-m", "benchmarks.suite", folder, url, *arguments]
            if code := subprocess.run(command, cwd=ROOT, check=False).returncode:
                return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
