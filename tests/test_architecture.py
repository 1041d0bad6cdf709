"""Who may import whom (design 1), read from the imports themselves, also those inside functions.

The check is proved by planting violations into a copy of the tree.
"""

import ast
import shutil
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("model", "pipeline", "jobs")
"""A package imports only those before it."""
GROUND = ""
"""The files of a package that lie in no room; in `jobs` these are the commands."""
ROOMS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "model": {GROUND: (), "checkpoints": ()},
    "pipeline": {
        GROUND: (),
        "storage": (GROUND,),
        "input": (GROUND, "storage"),
        "output": (GROUND, "storage"),
        "run": (GROUND, "storage", "input", "output"),
    },
    "jobs": {
        "terminal": (),
        "pictures": (),
        "datasets": ("pictures",),
        "exports": ("datasets", "pictures"),
        "evaluation": ("terminal", "datasets", "pictures"),
        "reviewing": ("terminal", "datasets", "pictures", "evaluation"),
        "reports": ("datasets", "pictures", "reviewing"),
        "benchmarks": ("datasets", "pictures"),
        "training": ("datasets", "pictures"),
        GROUND: (
            "terminal",
            "pictures",
            "datasets",
            "exports",
            "evaluation",
            "reviewing",
            "reports",
            "benchmarks",
            "training",
        ),
        "demo_data": (),
    },
}
"""By package and room: the other rooms of the package that it may import."""
ONLY_IN: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "model": {"ray": (), "cv2": ("textures", "synthetic", "metrics")},
    "pipeline": {"ray": ("run.ray_*",)},
    "jobs": {"ray": ("training.ray_*",)},
}
"""Libraries that only some files of a package may import."""
EVERY_COMMAND = "cli"
"""The one command that imports the others."""


def modules(folder: Path) -> list[str]:
    """Names of a package's modules below it, with dots; "" is the package itself."""
    found = (path.relative_to(folder).with_suffix("").parts for path in folder.rglob("*.py"))
    return sorted(".".join(part for part in parts if part != "__init__") for parts in found)


@cache  # of every file: a smaller cache that is gone through in order never finds anything
def imports_of(source: str, package: str) -> frozenset[str]:
    """Full names of all modules that a file of `package` may import, in whatever way it is written."""
    return frozenset(name for node in ast.walk(ast.parse(source)) for name in _imported(node, package))


def _imported(node: ast.AST, package: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = ".".join(filter(None, [_above(package, node.level), node.module or ""]))
        yield base
        # In `from pipeline.output import rle` the name is a module too.
        yield from (f"{base}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.Call) and _is_dynamic(node.func) and node.args:
        name = node.args[0]
        yield name.value if isinstance(name, ast.Constant) and isinstance(name.value, str) else "?"


def _above(package: str, level: int) -> str:
    """The package that so many dots name, from a file of `package`."""
    parts = package.split(".")
    return ".".join(parts[: len(parts) - level + 1]) if level else ""


def _is_dynamic(function: ast.expr) -> bool:
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name in ("__import__", "import_module")


def faults(folder: Path) -> list[str]:
    """What is wrong with the imports of the package in `folder`, one line each."""
    package, known = folder.name, modules(folder)
    found = []
    for module in known:
        where = f"{package}/{module.replace('.', '/') or '__init__'}"
        if _room(module, folder) not in ROOMS[package]:
            found.append(f"{where} lies in no room of {package}: put it into one, or add the room to ROOMS")
            continue
        for name in sorted(_imports(folder, module)):
            found += [f"{where} {fault}" for fault in _faults_of_import(folder, module, name, known)]
        if package == "jobs" and _room(module, folder) == GROUND and not _is_command(folder, module):
            found.append(f"{where} is no command: it belongs into a room of jobs")
    return found + _circles(folder, known)


def _room(module: str, folder: Path) -> str:
    first, _, rest = module.partition(".")
    return first if rest or (folder / first).is_dir() else GROUND


def _imports(folder: Path, module: str) -> frozenset[str]:
    path = _path(folder, module)
    inside = module if path.name == "__init__.py" else module.rpartition(".")[0]
    return imports_of(path.read_text(), ".".join(filter(None, [folder.name, inside])))


def _path(folder: Path, module: str) -> Path:
    path = folder.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _faults_of_import(folder: Path, module: str, name: str, known: list[str]) -> list[str]:
    package = folder.name
    top, _, rest = name.partition(".")
    if top in PACKAGES[PACKAGES.index(package) + 1 :]:
        return [f"imports {name}: the direction is {' <- '.join(PACKAGES)}"]
    if not _is_allowed(module, ONLY_IN[package].get(top)):
        return [f"imports {name}"]
    other = _longest_module(rest, known) if top == package else None
    if not other:
        return []
    here, there = _room(module, folder), _room(other, folder)
    if here != there and there not in ROOMS[package][here]:
        return [f"imports {name}: {here or 'the ground'} may not import {there or 'the ground'}"]
    if package == "jobs" and here == there == GROUND and module != EVERY_COMMAND:
        return [f"imports {name}: no command imports a command"]
    if not module:
        return [f"imports {name}: a map imports nothing"]
    return []


def _is_allowed(module: str, files: tuple[str, ...] | None) -> bool:
    return files is None or any(
        module == file or (file.endswith("*") and module.startswith(file[:-1])) for file in files
    )


def _longest_module(name: str, known: list[str]) -> str | None:
    return max((m for m in known if m and (name == m or name.startswith(f"{m}."))), key=len, default=None)


def _is_command(folder: Path, module: str) -> bool:
    """A Typer app, and a way to run it as `python -m jobs.<name>`."""
    return not module or _is_typer(_path(folder, module).read_text())


@cache
def _is_typer(source: str) -> bool:
    tree = ast.parse(source)
    names = {target.id for node in tree.body if isinstance(node, ast.Assign) for target in node.targets
             if isinstance(target, ast.Name)}  # fmt: skip
    runs = any(isinstance(node, ast.If) and "__main__" in ast.unparse(node.test) for node in tree.body)
    return "app" in names and runs


def _circles(folder: Path, known: list[str]) -> list[str]:
    graph = {
        module: {
            other
            for name in _imports(folder, module)
            if name.startswith(f"{folder.name}.")
            and (other := _longest_module(name.removeprefix(f"{folder.name}."), known))
            and _path(folder, other).name != "__init__.py"
        }
        for module in known
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        path = [str(module) for module in reversed(error.args[1])]
        start = path.index(min(path))
        circle = [*path[start:-1], *path[:start], path[start]]
        return [f"{folder.name}/{circle[0].replace('.', '/')} imports itself: {' -> '.join(circle)}"]
    return []


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_follow_the_design(package: str) -> None:
    assert faults(ROOT / package) == []


@pytest.mark.parametrize("package", ["pipeline", "jobs"])
def test_the_map_of_a_package_names_its_rooms(package: str) -> None:
    text = ast.get_docstring(ast.parse((ROOT / package / "__init__.py").read_text())) or ""
    rooms = {path.name for path in (ROOT / package).iterdir() if (path / "__init__.py").exists()}
    assert rooms
    assert [room for room in rooms if f"{room}/ " not in text] == []


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the three packages."""
    root = tmp_path_factory.mktemp("tree")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__", "demo_data"))
    return root


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("model/bank.py", "import ray"),
        ("model/bank.py", "import ray.util"),
        ("model/bank.py", "from ray import remote"),
        ("model/segmenter.py", "import pipeline.storage"),
        ("model/segmenter.py", "from pipeline import storage"),
        ("model/segmenter.py", "from pipeline.storage.store import Store"),
        ("model/network.py", "import jobs"),
        ("model/__init__.py", "from model.bank import BankConfig"),
        ("model/decoder.py", "import cv2"),
        ("pipeline/errors.py", "from pipeline.storage.store import Store"),
        ("pipeline/__init__.py", "from pipeline.errors import PipelineError"),
        ("pipeline/storage/store.py", "import pipeline.input.manifest"),
        ("pipeline/storage/store.py", "from ..input import manifest"),
        ("pipeline/input/manifest.py", "from pipeline.output.layout import MARKER"),
        ("pipeline/output/lease.py", "from pipeline.input.manifest import VideoTask"),
        ("pipeline/output/lease.py", "from pipeline.input import manifest"),
        ("pipeline/output/lease.py", "from pipeline.run.driver import run"),
        ("pipeline/run/worker.py", "import ray"),
        ("pipeline/run/worker.py", "from ray.exceptions import RayActorError"),
        ("pipeline/run/worker.py", "import numpy, ray as r"),
        ("pipeline/output/tables.py", "import ray"),
        ("pipeline/run/driver.py", "from jobs.terminal.console import exit_on_error"),
        ("pipeline/run/driver.py", "import importlib; importlib.import_module('jobs.terminal.console')"),
        ("jobs/terminal/console.py", "from jobs.segment import segment_command"),
        ("jobs/terminal/console.py", "from jobs.training.curriculum import Stage"),
        ("jobs/datasets/listing.py", "from jobs.training.curriculum import Stage"),
        ("jobs/training/settings.py", "from jobs.evaluation.scores import Protocol"),
        ("jobs/training/settings.py", "import ray"),
        ("jobs/segment.py", "from jobs import cli"),
        ("jobs/demo.py", "from jobs.segment import segment_command"),
    ],
)
@pytest.mark.parametrize("form", ["{}", "def later() -> None:\n    {}"], ids=["top", "inside"])
def test_a_planted_violation_is_found(tree: Path, file: str, line: str, form: str) -> None:
    planted = planted_faults(tree, file, form.format(line))
    assert any(fault.startswith(f"{file.removesuffix('.py')} imports ") for fault in planted)


@pytest.mark.parametrize(
    ("file", "line", "circle"),
    [
        ("model/ops.py", "from model.bank import BankConfig", "bank -> ops -> bank"),
        ("model/ops.py", "from .bank import BankConfig", "bank -> ops -> bank"),
        ("model/ops.py", "from . import bank", "bank -> ops -> bank"),
        ("model/ops.py", "from model import bank", "bank -> ops -> bank"),
        ("pipeline/overlap.py", "from pipeline import overlap", "overlap -> overlap"),
    ],
)
def test_a_planted_circle_is_found(tree: Path, file: str, line: str, circle: str) -> None:
    (fault,) = planted_faults(tree, file, line)
    assert fault.endswith(f"imports itself: {circle}")


@pytest.mark.parametrize(
    ("file", "fault"),
    [
        ("jobs/helpers.py", "jobs/helpers is no command: it belongs into a room of jobs"),
        ("pipeline/misc/helpers.py", "pipeline/misc/helpers lies in no room of pipeline: put it into one, or add the "
         "room to ROOMS"),
    ],
)  # fmt: skip
def test_a_file_outside_the_rooms_is_found(tree: Path, file: str, fault: str) -> None:
    (tree / file).parent.mkdir(exist_ok=True)
    assert planted_faults(tree, file, "") == {fault}


@pytest.mark.parametrize("line", ["import rayon, pipelines", "from model.ops import pad", "from model import ops"])
def test_what_is_allowed_is_not(tree: Path, line: str) -> None:
    assert planted_faults(tree, "model/bank.py", line) == set()


def planted_faults(tree: Path, file: str, line: str) -> set[str]:
    """What is found more when this stands in a file."""
    path = tree / file
    folder = tree / path.relative_to(tree).parts[0]
    before = path.read_text() if path.exists() else None
    known = set(faults(folder))
    path.write_text(f"{before or ''}\n\n{line}\n")
    try:
        return set(faults(folder)) - known
    finally:
        path.write_text(before) if before is not None else path.unlink()
