"""Imports point one way: analytics -> accounts -> platforms; `style.md` has the rules this enforces."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
APPS = ("analytics", "accounts", "platforms", "postfuze")
MAX_LINES = 400
NOT_A_SUBJECT = {"utils.py", "helpers.py", "common.py"}
# Imports inside a function that are no way around a cycle: path and what it imports.
ALLOWED_INSIDE: set[tuple[str, str]] = set()

FILES = [
    path
    for app in APPS
    for path in sorted((ROOT / app).rglob("*.py"))
    if not {"migrations", "tests", "__pycache__"} & set(path.relative_to(ROOT).parts)
]
NAMES = [str(path.relative_to(ROOT)) for path in FILES]


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Each imported module or name in full, and whether the import stands inside a function."""
    tree = ast.parse(path.read_text())
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
    }
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in inside) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join([*package[: len(package) - node.level + 1], *filter(None, [node.module])])
            module = base if node.level else node.module or ""
            yield from ((f"{module}.{alias.name}", id(node) in inside) for alias in node.names)


def under(name: str, *modules: str) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def forbidden(path: Path) -> Iterator[str]:
    parts = path.relative_to(ROOT).parts
    for name, inside in imports(path):
        if inside and ("/".join(parts), name) not in ALLOWED_INSIDE:
            yield f"{name} inside a function"
        if parts[0] == "platforms" and forbidden_in_platforms(parts, name):
            yield name
        if parts[0] in {"accounts", "analytics"} and forbidden_in_apps(parts, name):
            yield name


def forbidden_in_apps(parts: tuple[str, ...], name: str) -> bool:
    if under(name, "postfuze"):
        return not under(name, "postfuze.api", "postfuze.admin")
    if is_door(parts) and under(name, "platforms.client"):
        return True  # only services hold a client
    return parts[0] == "accounts" and under(name, "analytics")


def forbidden_in_platforms(parts: tuple[str, ...], name: str) -> bool:
    if parts[1] in {"apps.py", "management"}:
        return under(name, "analytics", "accounts", "postfuze")
    if under(name, "analytics", "accounts", "postfuze", "django", "rest_framework", "celery"):
        return True
    return is_adapter(parts) and under(name, "requests", "urllib3", "http", "httpx")


def is_adapter(parts: tuple[str, ...]) -> bool:
    path = ROOT.joinpath(*parts)
    return len(parts) == 2 and any(
        isinstance(node, ast.ClassDef) and any(ast.unparse(base).endswith("Platform") for base in node.bases)
        for node in ast.parse(path.read_text()).body
    )


def is_door(parts: tuple[str, ...]) -> bool:
    """Viewsets, tasks, the admin and commands, as modules or as packages."""
    return parts[0] in {"accounts", "analytics"} and any(
        part.removesuffix(".py") in {"viewsets", "tasks", "admin", "commands"} for part in parts[1:]
    )


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_a_module_imports_only_what_its_layer_may(path: Path) -> None:
    assert list(forbidden(path)) == []


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_a_module_has_one_subject(path: Path) -> None:
    assert path.name not in NOT_A_SUBJECT
    lines = len(path.read_text().splitlines())
    assert lines <= MAX_LINES, f"{lines} lines: split it by subject"
