"""Installs the development network's node packages, once per lock file, outside the checkout."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
MANIFESTS = ("package.json", "package-lock.json")
INSTALL_SECONDS = 900


def cache_folder() -> Path:
    return Path(os.environ.get("POSTFUZE_CACHE") or Path.home() / ".cache" / "postfuze")


def install() -> Path:
    """The folder that holds `node_modules`; a complete one is used again, and an interrupted install leaves none."""
    digest = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in MANIFESTS)).hexdigest()[:16]
    folder = cache_folder() / f"devnet-{digest}"
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    try:
        _npm_ci(scratch)
        _put(scratch, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


def _npm_ci(folder: Path) -> None:
    for name in MANIFESTS:
        shutil.copy(HERE / name, folder / name)
    command = ["npm", "ci", "--no-audit", "--no-fund"]
    done = subprocess.run(  # a failed native build says so here rather than at the first import
        command, cwd=folder, env=_environment(), capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
    )
    if done.returncode == 0:
        done = subprocess.run(
            ["node", "-e", "new (require('better-sqlite3'))(':memory:')"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        raise RuntimeError(f"Installing the development network failed:\n{(done.stdout + done.stderr)[-4000:]}")


def _environment() -> dict[str, str]:
    """node-gyp downloads headers it is not told of; a Node with its own headers beside it needs no download."""
    environment = dict(os.environ)
    node = shutil.which("node")
    prefix = Path(node).resolve().parent.parent if node else Path()
    if (prefix / "include" / "node" / "node.h").exists():
        environment.setdefault("npm_config_nodedir", str(prefix))
    return environment


def _put(scratch: Path, folder: Path) -> None:
    try:
        scratch.rename(folder)
    except OSError:
        if not folder.exists():  # else another run was first
            raise


if __name__ == "__main__":
    print(install())  # noqa: T201
