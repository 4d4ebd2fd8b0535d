"""Prints how long `make up` takes from a fresh clone to its first live answer, and a second time; see `--help`."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from postfuze.tests.e2e.stage import free_port
from postfuze.tests.e2e.up import ask, fresh_clone, running

BAR = 90


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patience", type=float, default=600.0, help="seconds after which it has failed")
    patience = parser.parse_args().patience
    with tempfile.TemporaryDirectory(prefix="postfuze-bench-") as folder:
        begun = time.monotonic()
        clone, ports = fresh_clone(Path(folder)), (free_port(), free_port())
        for name, bar in (("clone, make up, first answer", f"bar {BAR} s"), ("make up again", "")):
            with running(clone, ports) as up:
                live = ask(up.curl(patience))["coverage"]["live"]
                took = time.monotonic() - begun
                up.stop()
            sys.stdout.write(f"{name:<28}{took:6.1f} s  {live} live rows  {bar}".rstrip() + "\n")
            begun = time.monotonic()
    return 0


if __name__ == "__main__":
    sys.exit(main())
