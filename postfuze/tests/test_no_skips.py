"""The plugin that makes a skip a failure, `.ci/no_skips.py`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from postfuze.tests.e2e.stage import ROOT

SKIPS = "import pytest\n\n@pytest.mark.skip(reason='no service')\ndef test_it(): pass\n\ndef test_other(): pass\n"
SKIPS_ALL = "import pytest\npytest.skip('no service', allow_module_level=True)\n"


@pytest.mark.parametrize(
    ("source", "plugin", "code"), [(SKIPS, True, 1), (SKIPS_ALL, True, 1), (SKIPS, False, 0)], ids=("one", "all", "off")
)
def test_a_skip_fails_only_where_the_plugin_is_on(tmp_path: Path, source: str, plugin: bool, code: int) -> None:
    (tmp_path / "test_sample.py").write_text(source)
    options = ["-p", "no_skips"] if plugin else []
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", "/dev/null", *options, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": ".ci", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stdout
    assert ("which counts as failed" in done.stdout) == plugin
