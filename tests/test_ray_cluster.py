"""`ray_cluster.yaml` and what a job uploads hold what Ray and this project ask of them; no node is started."""

import shutil
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
import yaml
from ray._private.runtime_env.packaging import create_package
from ray.autoscaler._private.util import prepare_config, validate_config

ROOT = Path(__file__).parent.parent
FILE = ROOT / "ray_cluster.yaml"


@pytest.fixture
def cluster() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return content


@pytest.fixture
def filled(cluster: dict[str, Any]) -> dict[str, Any]:
    """With Ray's own defaults, as `ray up` sees it."""
    prepared: dict[str, Any] = prepare_config(cluster)
    return prepared


def test_it_fits_the_schema_of_ray(filled: dict[str, Any]) -> None:
    validate_config(filled)


@pytest.mark.parametrize("where", [(), ("provider", "security_group"), ("available_node_types", "gpu")])
def test_the_schema_is_asked(filled: dict[str, Any], where: tuple[str, ...]) -> None:
    """An unknown key is refused, so the test above can fail."""
    level = filled
    for name in where:
        level = level.setdefault(name, {})
    level["no_such_key"] = 1
    with pytest.raises(Exception, match="no_such_key"):
        validate_config(filled)


def test_workers_with_gpus_come_and_go(filled: dict[str, Any]) -> None:
    worker = filled["available_node_types"]["gpu"]
    assert worker["min_workers"] == 0 and worker["max_workers"] == filled["max_workers"]
    assert filled["provider"]["cache_stopped_nodes"] is False


def test_every_node_asks_for_the_token(filled: dict[str, Any]) -> None:
    """The mode is set before Ray starts, and the token comes from a file of the user's."""
    assert any("RAY_AUTH_MODE=token" in command for command in filled["initialization_commands"])
    assert filled["file_mounts"]["/home/ubuntu/.ray/auth_token"] == "~/.ray/auth_token"
    starts = filled["head_start_ray_commands"] + filled["worker_start_ray_commands"]
    assert not any("AUTH_MODE" in command for command in starts)


def test_it_holds_no_secret() -> None:
    text = FILE.read_text()
    for word in ("AWS_", "RAY_AUTH_TOKEN", "SECRET", "ssh_private_key"):
        assert word not in text


def test_it_installs_this_project_in_its_versions(filled: dict[str, Any]) -> None:
    (install,) = [command for command in filled["setup_commands"] if "pip install" in command]
    assert filled["file_mounts"]["/home/ubuntu/vos-batch"] == "."
    assert "--constraint ~/vos-batch/constraints.txt ~/vos-batch" in install
    assert (ROOT / "constraints.txt").exists() and (ROOT / "pyproject.toml").exists()


def uploaded(folder: Path, package: Path) -> set[str]:
    """What `ray job submit --working-dir folder` would upload, without Ray's own excludes."""
    create_package(str(folder), package, include_gitignore=True)
    with ZipFile(package) as zipped:
        return {name for name in zipped.namelist() if not name.endswith("/")}


def test_a_job_uploads_the_code_and_the_weights_and_little_else(tmp_path: Path) -> None:
    """The dashboard takes 100 MiB; a folder in which somebody works holds gigabytes."""
    folder = tmp_path / "project"
    for name in (".gitignore", ".rayignore"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    wanted = {"jobs/segment.py", "model/checkpoints/lite0-open.safetensors", "pipeline/run.py", "pyproject.toml"}
    unwanted = {
        ".git/objects/pack",
        ".venv/bin/python",
        ".hypothesis/tmp",
        "demo-output/masks/a.parquet",
        "docs/demo.jpg",
        "jobs/__pycache__/segment.pyc",
        "tests/golden/modules.npz",
    }
    for name in wanted | unwanted:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    assert uploaded(folder, tmp_path / "package.zip") == wanted | {".gitignore", ".rayignore"}
