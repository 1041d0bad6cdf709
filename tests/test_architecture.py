"""Who may import whom (design 1), read from the imports themselves, also those inside functions.

The check is proved by planting violations into a copy of the tree.
"""

import ast
import shutil
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("model", "pipeline", "jobs")
"""A package imports only those before it."""
ORDER = {
    "model": [
        "errors",
        "result",
        "ops",
        "trunk",
        "encoders",
        "bank",
        "matcher",
        "uncertainty",
        "decoder",
        "network",
        "segmenter",
        "checkpoint",
        "textures",
        "synthetic",
        "metrics",
        "training",
    ],
    "pipeline": [
        "credentials",
        "errors",
        "config",
        "retry",
        "urls",
        "store_failures",
        "backends",
        "storage",
        "formats",
        "fields",
        "manifest",
        "annotations",
        "frames",
        "video_file",
        "frame_folder",
        "video",
        "inspection",
        "rle",
        "schema",
        "writer",
        "identity",
        "output",
        "commits",
        "driver_tables",
        "batches",
        "lease",
        "sweep",
        "tables",
        "weights",
        "overlap",
        "source",
        "worker",
        "scheduler",
        "pool",
        "run",
        "ray_pool",
    ],
    "jobs": [
        "console",
        "listing",
        "progress",
        "convert_checkpoint",
        "manifest_check",
        "manifest",
        "segment",
        "status",
        "checkpoints",
        "evaluation",
        "evaluation.scores",
        "evaluation.truth",
        "evaluation.scoring",
        "evaluate",
        "benchmark",
        "ablate",
        "overlay",
        "demo",
        "training",
        "training.motion",
        "training.sources",
        "training.coco",
        "training.runs",
        "training.compose",
        "compose",
        "training.pretrained",
        "training.curriculum",
        "training.validation",
        "training.reports",
        "training.progress",
        "training.events",
        "training.settings",
        "training.keeper",
        "training.session",
        "training.distributed",
        "train",
        "cli",
    ],
}
"""A file imports only what stands above it in its own package. New files go into the list."""
ONLY_IN: dict[str, dict[str, tuple[str, ...]]] = {
    "model": {"ray": (), "cv2": ("textures", "synthetic", "metrics")},
    "pipeline": {"ray": ("ray_pool",)},
    "jobs": {},
}
"""Libraries that only some files of a package may import."""


def modules(folder: Path) -> list[str]:
    """Names of a package's modules below it, with dots; "" is the package itself."""
    found = (path.relative_to(folder).with_suffix("").parts for path in folder.rglob("*.py"))
    return sorted(".".join(part for part in parts if part != "__init__") for parts in found)


@lru_cache
def imports_of(source: str, package: str) -> set[str]:
    """Full names of all modules that a file of `package` may import, in whatever way it is written."""
    return {name for node in ast.walk(ast.parse(source)) for name in _imported(node, package)}


def _imported(node: ast.AST, package: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = ".".join(filter(None, [package if node.level else "", node.module or ""]))
        yield base
        # In `from pipeline import rle` the name is a module too.
        yield from (f"{base}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.Call) and _is_dynamic(node.func) and node.args:
        name = node.args[0]
        yield name.value if isinstance(name, ast.Constant) and isinstance(name.value, str) else "?"


def _is_dynamic(function: ast.expr) -> bool:
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name in ("__import__", "import_module")


def faults(folder: Path) -> list[str]:
    """What is wrong with the imports of the package in `folder`, one line each."""
    package, order = folder.name, ORDER[folder.name]
    found = []
    for module in modules(folder):
        if module and module not in order:
            found.append(f"{package}/{module} is not in ORDER: put it where its imports allow")
            continue
        for name in sorted(imports_of(_path(folder, module).read_text(), package)):
            found += _faults_of_import(package, order, module, name)
    return found


def _path(folder: Path, module: str) -> Path:
    path = folder.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _faults_of_import(package: str, order: list[str], module: str, name: str) -> list[str]:
    top, _, rest = name.partition(".")
    where = f"{package}/{module or '__init__'}"
    if top in PACKAGES[PACKAGES.index(package) + 1 :]:
        return [f"{where} imports {name}: the direction is {' <- '.join(PACKAGES)}"]
    if module not in ONLY_IN[package].get(top, (module,)):
        return [f"{where} imports {name}"]
    own = _longest_module(rest, order) if top == package else None
    if own and (not module or order.index(own) >= order.index(module)):
        return [f"{where} imports {name}, which does not stand above it"]
    return []


def _longest_module(name: str, order: list[str]) -> str | None:
    return max((m for m in order if name == m or name.startswith(f"{m}.")), key=len, default=None)


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_follow_the_design(package: str) -> None:
    assert faults(ROOT / package) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_listed_file_exists(package: str) -> None:
    assert sorted(ORDER[package]) == [module for module in modules(ROOT / package) if module]


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
        ("model/segmenter.py", "from pipeline.storage import Store"),
        ("model/network.py", "import jobs"),
        ("model/__init__.py", "from model.bank import BankConfig"),
        ("model/decoder.py", "import cv2"),
        ("model/ops.py", "from model.bank import BankConfig"),
        ("model/ops.py", "from .bank import BankConfig"),
        ("model/ops.py", "from . import bank"),
        ("model/ops.py", "from model import bank"),
        ("pipeline/worker.py", "import ray"),
        ("pipeline/worker.py", "from ray.exceptions import RayActorError"),
        ("pipeline/worker.py", "import numpy, ray as r"),
        ("pipeline/run.py", "from jobs.console import exit_on_error"),
        ("pipeline/run.py", "import importlib; importlib.import_module('jobs.console')"),
        ("pipeline/worker.py", "from pipeline.run import run"),
        ("pipeline/storage.py", "import pipeline.manifest"),
        ("pipeline/overlap.py", "from pipeline import overlap"),
        ("jobs/console.py", "from jobs.segment import segment"),
        ("jobs/segment.py", "from jobs import cli"),
    ],
)
@pytest.mark.parametrize("form", ["{}", "def later() -> None:\n    {}"], ids=["top", "inside"])
def test_a_planted_violation_is_found(tree: Path, file: str, line: str, form: str) -> None:
    planted = planted_faults(tree, file, form.format(line))
    assert planted
    assert all(fault.startswith(f"{file.removesuffix('.py')} imports ") for fault in planted)


def test_a_file_outside_the_list_is_found(tree: Path) -> None:
    (fault,) = planted_faults(tree, "jobs/helpers.py", "")
    assert fault == "jobs/helpers is not in ORDER: put it where its imports allow"


@pytest.mark.parametrize("line", ["import rayon, pipelines", "from model.ops import pad", "from model import ops"])
def test_what_is_allowed_is_not(tree: Path, line: str) -> None:
    assert planted_faults(tree, "model/bank.py", line) == set()


def planted_faults(tree: Path, file: str, line: str) -> set[str]:
    """What is found more when this stands in a file."""
    path = tree / file
    before = path.read_text() if path.exists() else None
    known = set(faults(tree / path.relative_to(tree).parts[0]))
    path.write_text(f"{before or ''}\n\n{line}\n")
    try:
        return set(faults(tree / path.relative_to(tree).parts[0])) - known
    finally:
        path.write_text(before) if before is not None else path.unlink()
