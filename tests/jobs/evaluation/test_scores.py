"""The table of the scores."""

import uuid
from pathlib import Path

import pyarrow.parquet as pq

from jobs.evaluation.scores import write_scores
from jobs.evaluation.scoring import evaluate
from pipeline.storage.store import Store
from tests.jobs.evaluation.scored import two_sequences


def test_parquet_has_a_row_per_object_and_explains_its_columns(output: str, tmp_path: Path) -> None:
    url = f"memory://{uuid.uuid4().hex}/scores.parquet"
    evaluation = evaluate(output, two_sequences(output, tmp_path / "davis"))
    assert write_scores(url, evaluation) == 3
    with Store(url.rpartition("/")[0]).open("scores.parquet") as file:
        table = pq.read_table(file)
    assert table.select(["video_id", "object_id", "num_frames", "J", "J_recall"]).to_pylist() == [
        {"video_id": "pair [x]", "object_id": 1, "num_frames": 2, "J": 1.0, "J_recall": 1.0},
        {"video_id": "pair [x]", "object_id": 2, "num_frames": 2, "J": 0.5, "J_recall": 0.5},
        {"video_id": "single", "object_id": 1, "num_frames": 1, "J": 1.0, "J_recall": 1.0},
    ]
    assert table["J_and_F"].to_pylist() == [score.J_and_F for score in evaluation.objects]
    assert set(table["protocol"].to_pylist()) == {"davis2017"}
    assert all(b"description" in field.metadata for field in table.schema)
    assert table.schema.field("J").metadata[b"unit"] == b"0..1"
