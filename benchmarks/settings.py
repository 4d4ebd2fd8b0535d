"""The service's own settings, with the views that its answers are measured against."""

import os

from postfuze.settings import *  # noqa: F403

ROOT_URLCONF = "benchmarks.baselines"
BENCH_FOLDER = os.environ["BENCH_FOLDER"]
