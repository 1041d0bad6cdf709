import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from jobs.cli import app
from pipeline.output.findings import Kind
from pipeline.storage.store import Store
from tests.pipeline.corpus import CHECKPOINT, Corpus
from tests.pipeline.output.planted import DAMAGE, grow_old, put_output


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "out"))


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["verify", *arguments], catch_exceptions=False)


def test_a_whole_output(store: Store) -> None:
    put_output(store, 3)
    shown = call(store.url)
    assert shown.exit_code == 0
    assert shown.output.startswith("3 of 3 videos are whole, ") and len(shown.output.splitlines()) == 1


def test_damage_is_told_by_kind_and_mended(store: Store) -> None:
    commits = put_output(store, 12)
    for commit in commits[:7]:
        DAMAGE[Kind.MISSING](store, commit)
    altered = DAMAGE[Kind.ALTERED](store, commits[7])
    shown = call(store.url)
    assert shown.exit_code == 3
    for text in (
        "4 of 12 videos are whole",
        "7 files that a commit lists are not there",
        "and 2 more: --json lists all of them",
        f"{altered} (video clip 7): holds other bytes",
        f"put it in line: vos-batch verify {store.url} --repair",
    ):
        assert text in shown.output
    grow_old(store)
    mended = call(store.url, "--repair")
    assert mended.exit_code == 3
    assert "8 videos have no result any more" in mended.output
    assert call(store.url).exit_code == 0


def test_json_is_for_programs(store: Store) -> None:
    commits = put_output(store, 2)
    path = DAMAGE[Kind.ALTERED](store, commits[1])
    content = json.loads(call(store.url, "--json").output)
    assert (content["videos"], content["whole"], content["exit_code"]) == (2, 1, 3)
    (found,) = content["found"]
    assert (found["kind"], found["path"], found["video_id"]) == ("altered", path, "clip 1")
    grow_old(store)
    assert json.loads(call(store.url, "--json", "--repair").output)["repaired"]["again"] == ["clip 1"]


def test_a_wrong_output_exits_with_2(tmp_path: Path) -> None:
    shown = call(str(tmp_path))
    assert shown.exit_code == 2
    assert "no vos-batch output" in shown.output


def test_what_a_run_left_is_whole_and_what_is_lost_is_done_again(corpus: Corpus, output: str) -> None:
    arguments = [corpus.manifest, output, "--device", "cpu", "--min-side", "0", "--checkpoint", CHECKPOINT]
    segment = ["segment", *arguments, "--only", "walk", "--only", "span"]
    assert CliRunner().invoke(app, segment).exit_code == 0
    assert call(output).exit_code == 0
    (masks, *_) = Path(output, "masks").glob("walk*.parquet")
    data = bytearray(masks.read_bytes())
    data[len(data) // 2] ^= 1
    masks.write_bytes(data)
    assert "1 files hold other bytes" in call(output).output
    assert "walk" in call(output, "--repair").output
    assert "1 videos (8 frames) segmented, 1 were complete before" in CliRunner().invoke(app, segment).output
    assert call(output).exit_code == 0
