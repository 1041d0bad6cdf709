"""`vos-batch segment` as a user meets it: what it prints and how it exits."""

import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

from jobs import cli
from jobs.segment import app
from jobs.terminal import launch
from jobs.terminal.console import interruptible
from jobs.terminal.launch import report, worker_config
from jobs.terminal.printable import OneLiner
from model.checkpoint import to_bytes
from model.network import untrained
from pipeline.errors import InvalidCheckpoint
from pipeline.output import tables
from pipeline.run.driver import RunSummary
from pipeline.run.failure import Failure
from pipeline.run.worker import VideoWorker
from pipeline.storage.store import Store
from tests.model.builders import clip
from tests.pipeline.corpus import HEIGHT, WIDTH, Corpus, digests, png, write_corpus, write_rows
from tests.pipeline.media import moving_square, write_frames, write_video

WAIT_S = 60.0


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--device", "cpu"], env={"COLUMNS": "200"})


class TestRuns:
    def test_it_shows_progress_and_what_it_did(self, corpus: Corpus, output: str) -> None:
        result = call(corpus.manifest, output)
        assert result.exit_code == 0
        lines = result.output.splitlines()
        assert "0 of 4 videos, 0 of " in result.output
        assert any(line.startswith("4 of 4 videos, 29 of 29 frames") for line in lines)
        assert lines[-1] == "4 videos (29 frames) segmented"
        assert len(digests(output)) == 8

    def test_both_ways_fills_the_frames_before_a_prompt(self, corpus: Corpus, output: str) -> None:
        result = call(corpus.manifest, output, "--both-ways", "--only", "folder")
        assert result.exit_code == 0, result.output
        assert "1 of 1 videos, 8 of 8 frames" in result.output  # two before the prompt, and its own once more
        assert result.output.splitlines()[-1] == "1 videos (5 frames) segmented"
        masks = tables.open(output, "masks").to_table().to_pylist()
        assert [(row["frame_index"], row["backward"]) for row in masks] == [(n, n < 2) for n in range(5)]
        again = call(corpus.manifest, output, "--both-ways", "--only", "folder")
        assert "nothing to do" in again.output

    def test_the_second_call_has_nothing_to_do(self, corpus: Corpus, output: str) -> None:
        first = call(corpus.manifest, output)
        assert first.exit_code == 0
        result = call(corpus.manifest, output)
        assert result.exit_code == 0
        assert f"nothing to do: all 4 videos are complete in {output}" in result.output

    def test_precision_auto_redoes_nothing_on_a_cpu(self, corpus: Corpus, output: str) -> None:
        """It is fp32 there, the default, also in what names a result."""
        assert call(corpus.manifest, output, "--only", "span").exit_code == 0
        result = call(corpus.manifest, output, "--only", "span", "--precision", "auto")
        assert "precision: fp32" in result.output
        assert f"nothing to do: all 1 videos are complete in {output}" in result.output

    def test_broken_videos_are_named_and_exit_with_3(self, corpus: Corpus, output: str, tmp_path: Path) -> None:
        both = corpus.folder / "both.jsonl"
        both.write_text("".join((corpus.folder / name).read_text() for name in ("manifest.jsonl", "broken.jsonl")))
        result = call(str(both), output, "--only", "span", "--only", "missing", "--only", "garbage")
        assert result.exit_code == 3
        assert "1 videos (4 frames) segmented" in result.output
        assert "failed: missing: video 'missing' (row 5): the video" in result.output
        assert "failed: garbage: " in result.output and "garbage.mp4 is not a video" in result.output

    def test_where_nothing_works_it_exits_with_2_and_says_what_failed(
        self, corpus: Corpus, output: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_arguments: object) -> None:
            raise RuntimeError("the GPU fell off the bus")

        monkeypatch.setattr(VideoWorker, "process", broken)
        (row,) = (line for line in Path(corpus.folder / "manifest.jsonl").read_text().splitlines() if '"span"' in line)
        many = corpus.folder / "many.jsonl"
        many.write_text("\n".join(row.replace('"span"', f'"v{n}"') for n in range(30)))
        result = call(str(many), output)
        assert result.exit_code == 2
        assert "error: stopped, because 10 of the last 10 videos failed" in result.output
        assert "RuntimeError on " in result.output and "at last: the GPU fell off the bus. Put that" in result.output

    def test_a_part_of_the_manifest(self, corpus: Corpus, output: str) -> None:
        assert "1 videos (4 frames) segmented" in call(corpus.manifest, output, "--only", "span").output
        result = call(corpus.manifest, output, "--limit", "1")
        assert "1 videos (8 frames) segmented" in result.output
        result = call(corpus.manifest, output)
        assert "2 videos (17 frames) segmented, 2 were complete before" in result.output

    def test_a_setting_changes_the_result(self, corpus: Corpus, output: str) -> None:
        chosen = "--only", "two/objects"
        assert call(corpus.manifest, output, *chosen).exit_code == 0
        before = digests(output)
        assert "1 videos" in call(corpus.manifest, output, *chosen, "--max-side", "32").output
        assert digests(output) != before

    def test_chunks_of_objects_do_not(self, corpus: Corpus, output: str) -> None:
        chosen = "--only", "two/objects"
        assert call(corpus.manifest, output, *chosen).exit_code == 0
        assert "nothing to do" in call(corpus.manifest, output, *chosen, "--object-chunk", "1").output

    def test_it_is_a_sub_command(self, corpus: Corpus, output: str) -> None:
        arguments = ["segment", corpus.manifest, output, "--only", "span", "--device", "cpu"]
        assert CliRunner().invoke(cli.app, arguments).exit_code == 0
        assert tables.open(output, "videos").count_rows() == 1


class TestNeedsPrompt:
    """A video of two shots, with the weights in the box."""

    @pytest.fixture
    def manifest(self, tmp_path: Path) -> Path:
        (frames, labels), (others, _) = clip(10, seed=0), clip(6, seed=100)
        pictures = [np.ascontiguousarray(frame.permute(1, 2, 0).numpy()) for frame in torch.cat([frames, others])]
        write_frames(tmp_path / "shots", pictures, ".png")
        (tmp_path / "0.png").write_bytes(png(labels[0].astype(np.uint8)))
        (tmp_path / "12.png").write_bytes(png(labels[0].astype(np.uint8)))
        return self.written(tmp_path, 0)

    def written(self, folder: Path, *prompts: int) -> Path:
        given = [{"frame_index": index, "mask_uri": f"{index}.png"} for index in prompts]
        return write_rows(folder / "m.jsonl", ({"video_id": "shots", "video_uri": "shots", "prompts": given},))

    def test_it_stops_at_the_cut_and_goes_on_once_there_is_a_prompt(
        self, manifest: Path, output: str, tmp_path: Path
    ) -> None:
        options = ("--min-side", "0", "--at-cuts", "stop")
        needs = "1 ended early and need a prompt there or later: shots (frame 10)"
        first = call(str(manifest), output, *options)
        assert (first.exit_code, needs in first.output) == (0, True)
        assert "1 videos (11 frames) segmented" in first.output
        (video,) = tables.open(output, "videos").to_table().to_pylist()
        assert (video["status"], video["needs_prompt_frame"]) == ("needs_prompt", 10)
        cuts = tables.open(output, "frames").to_table()["shot_cut"].to_pylist()
        assert cuts == [None] + [False] * 9 + [True]
        again = call(str(manifest), output, *options)
        assert again.exit_code == 0
        assert "nothing to do" in again.output and needs in again.output
        later = call(str(self.written(tmp_path, 0, 12)), output, *options)
        assert "1 videos (16 frames) segmented" in later.output and "need a prompt" not in later.output

    def test_by_default_it_goes_on(self, manifest: Path, output: str) -> None:
        assert "1 videos (16 frames) segmented" in call(str(manifest), output, "--min-side", "0").output
        cuts = tables.open(output, "frames").to_table()["shot_cut"].to_pylist()
        assert [index for index, cut in enumerate(cuts) if cut] == [10]


class TestSegmentMean:
    def test_one_that_does_not_load_is_refused_before_any_video(
        self, corpus: Corpus, output: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "torch_scatter", None)
        result = call(corpus.manifest, output, "--segment-mean", "torch-scatter")
        assert result.exit_code == 2
        assert "error: --segment-mean torch-scatter does not load here" in result.output
        assert "`make scatter` builds it" in result.output
        assert not Path(output).exists()

    def test_torch_needs_nothing_else(self, corpus: Corpus, output: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "torch_scatter", None)
        assert call(corpus.manifest, output, "--only", "span", "--segment-mean", "torch").exit_code == 0
        assert "nothing to do" in call(corpus.manifest, output, "--only", "span").output

    @pytest.mark.scatter
    def test_torch_scatter_gives_the_same_masks_and_is_no_other_result(
        self, corpus: Corpus, output: str, tmp_path: Path
    ) -> None:
        chosen = "--only", "two/objects", "--merge-threshold", "0.5"
        assert call(corpus.manifest, output, *chosen).exit_code == 0
        other = str(tmp_path / "scatter")
        assert call(corpus.manifest, other, *chosen, "--segment-mean", "torch-scatter").exit_code == 0
        assert merged(output) == merged(other) > 0
        masks = [tables.open(where, "masks").to_table(columns=["rle"]) for where in (output, other)]
        assert masks[0] == masks[1]
        assert "nothing to do" in call(corpus.manifest, output, *chosen, "--segment-mean", "torch-scatter").output


def merged(output: str) -> int:
    """Features that were merged, over all frames."""
    return int(sum(tables.open(output, "frames").to_table(columns=["merged"])["merged"].to_pylist()))


class TestBrackets:
    """Any text is a path or an id; a console takes some for its own."""

    def test_an_output_with_brackets(self, corpus: Corpus, tmp_path: Path) -> None:
        output = str(tmp_path / "[bold]out[/x]")
        assert call(corpus.manifest, output, "--only", "span").exit_code == 0
        result = call(corpus.manifest, output, "--only", "span")
        assert result.exit_code == 0 and f"complete in {output}\n" in result.output

    def test_a_message_with_brackets(self, corpus: Corpus, output: str, tmp_path: Path) -> None:
        folder = tmp_path / "[red]corpus[/x]"
        folder.mkdir(parents=True)
        (folder / "m.jsonl").write_text(
            '{"video_id": "[/b]", "video_uri": "gone[i].mp4", "mask_uri": "m.png", "mask_frame": 0}\n'
        )
        result = call(str(folder / "m.jsonl"), output)
        assert result.exit_code == 3
        said = f"failed: [/b]: video '[/b]' (row 1): the video file://{folder}/gone[i].mp4 does not exist"
        assert said in result.output


class TestWeights:
    def test_untrained_ones_are_called_so(self, corpus: Corpus, output: str) -> None:
        assert (
            "note: these weights are untrained"
            in call(corpus.manifest, output, "--only", "span", "--checkpoint", "untrained").output
        )

    def test_those_of_a_file_are_not(self, corpus: Corpus, output: str, tmp_path: Path) -> None:
        (tmp_path / "w.safetensors").write_bytes(to_bytes(untrained(seed=3)))
        arguments = "--only", "span", "--checkpoint", str(tmp_path / "w.safetensors")
        result = call(corpus.manifest, output, *arguments)
        assert result.exit_code == 0 and "untrained" not in result.output

    def test_a_relative_path_is_kept_as_a_url_for_other_nodes(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "w.safetensors").write_bytes(to_bytes(untrained(seed=3)))
        monkeypatch.chdir(tmp_path)
        config = worker_config(output="out", checkpoint="w.safetensors")
        assert config.checkpoint == f"file://{tmp_path}/w.safetensors"
        assert config.output == f"file://{tmp_path}/out"
        with pytest.raises(InvalidCheckpoint, match=r"gone\.safetensors"):
            worker_config(output="out", checkpoint="gone.safetensors")


class TestWrongCalls:
    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["--only", "nobody"], "the manifest has no video nobody"),
            (["--merge-threshold", "1.5"], "merge_threshold must be a cosine"),
            (["--checkpoint", "/gone.safetensors"], "no checkpoint"),
            (["--max-side", "3"], "max_side must be"),
            (["--workers", "0"], "--workers"),
            (["--pool", "local", "--workers", "2"], "use --pool ray"),
            (["--torch-threads", "0"], "torch_threads must be"),
            (["--precision", "fp8"], "fp8"),
            (["--limit", "-1"], "--limit"),
            (["--object-chunk", "0"], "--object-chunk"),
            (["--gpus-per-worker", "-1"], "--gpus-per-worker"),
        ],
    )
    def test_it_exits_with_2_and_says_why(
        self, corpus: Corpus, output: str, arguments: Sequence[str], said: str
    ) -> None:
        result = call(corpus.manifest, output, *arguments)
        assert result.exit_code == 2
        assert said in result.output
        assert not Path(output).exists()

    def test_a_missing_manifest(self, output: str, tmp_path: Path) -> None:
        result = call(str(tmp_path / "gone.jsonl"), output)
        assert result.exit_code == 2 and "gone.jsonl: no such manifest" in result.output

    def test_a_folder_of_something_else(self, corpus: Corpus, tmp_path: Path) -> None:
        (tmp_path / "thesis.tex").write_text("")
        result = call(corpus.manifest, str(tmp_path))
        assert result.exit_code == 2 and "thesis.tex" in result.output

    def test_a_gpu_that_is_not_there(self, corpus: Corpus, output: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("torch.cuda.is_available", lambda: False)
        result = CliRunner().invoke(app, [corpus.manifest, output, "--device", "cuda"])
        assert result.exit_code == 2 and "--device cpu" in result.output


class TestReport:
    def said(self, summary: RunSummary, output: str = "out") -> str:
        console = OneLiner(file=io.StringIO(), width=200, markup=False)
        report(summary, console, output=output)
        assert isinstance(console.file, io.StringIO)
        return console.file.getvalue()

    def test_truncated_and_damaged_videos_are_named(self) -> None:
        said = self.said(RunSummary(run_id="r", complete=3, frames=9, truncated=["a", "b"], damaged=["c"]))
        assert said == "3 videos (9 frames) segmented\n2 truncated: a, b\n1 damaged: c\n"

    def test_ids_are_printed_as_they_are(self) -> None:
        """Any text is a video_id, also what a console could take for its own."""
        failed = {"[red]f": Failure(cause="Test", message="no [frame]")}
        said = self.said(RunSummary(run_id="r", complete=2, truncated=["[/a]"], damaged=["[bold]b"], failed=failed))
        assert "failed: [red]f: no [frame]\n" in said
        assert "1 truncated: [/a]\n" in said and "1 damaged: [bold]b\n" in said

    def test_an_output_is_printed_as_it_is(self) -> None:
        assert "complete in /data/[v2]/out" in self.said(RunSummary(run_id="r", skipped=1), "/data/[v2]/out")

    def test_many_failures_are_counted(self) -> None:
        failed = {f"v{n}": Failure(cause="Test", message="no") for n in range(13)}
        said = self.said(RunSummary(run_id="r", complete=1, failed=failed))
        assert said.count("failed: ") == 10 and "and 3 more: vos-batch status out" in said


class TestInterruption:
    def test_it_exits_with_130(self, corpus: Corpus, output: str, monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupted(*_arguments: object, **_options: object) -> RunSummary:
            raise KeyboardInterrupt

        monkeypatch.setattr(launch, "run", interrupted)
        result = call(corpus.manifest, output)
        assert result.exit_code == 130 and "interrupted: what is complete stays" in result.output

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_real_process_drains(self, long_corpus: Corpus, output: str, number: signal.Signals) -> None:
        with segmenting(long_corpus, output) as process:
            process.send_signal(number)
            said, complaints = process.communicate(timeout=WAIT_S)
        assert process.returncode == 130, complaints
        assert "interrupted: what is complete stays" in said
        assert_clean(output)

    @pytest.mark.ray
    @pytest.mark.slow
    def test_a_real_process_with_actors_drains(self, long_corpus: Corpus, output: str) -> None:
        """SIGTERM, as a cluster sends it; Ray would end the process on it without a clean-up."""
        with segmenting(long_corpus, output, "--workers", "2") as process:
            process.send_signal(signal.SIGTERM)
            said, complaints = process.communicate(timeout=WAIT_S)
        assert process.returncode == 130, complaints
        assert "interrupted: what is complete stays" in said
        assert_clean(output)

    def test_the_second_signal_ends_it_at_once(self) -> None:
        """Also in the middle of a clean-up that would take for ever."""
        program = (
            "import time\n"
            "from jobs.terminal.console import interruptible\n"
            "with interruptible() as stop:\n"
            "    print('works', flush=True)\n"
            "    while not stop(): time.sleep(0.01)\n"
            "    print('cleans up', flush=True); time.sleep(600)\n"
        )
        call = [sys.executable, "-c", program]
        with subprocess.Popen(call, stdout=subprocess.PIPE, text=True, preexec_fn=hear_signals) as process:
            assert process.stdout is not None
            for line in ("works\n", "cleans up\n"):
                assert process.stdout.readline() == line
                process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=WAIT_S) == 130

    def test_one_that_hangs_is_ended(self) -> None:
        """`ray job stop` would kill it a second later."""
        program = (
            "import time\n"
            "from jobs.terminal.console import interruptible\n"
            "with interruptible():\n"
            "    print('works', flush=True); time.sleep(600)\n"
        )
        call = [sys.executable, "-c", program]
        with subprocess.Popen(call, stdout=subprocess.PIPE, text=True, preexec_fn=hear_signals) as process:
            assert process.stdout is not None and process.stdout.readline() == "works\n"
            began_s = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=WAIT_S) == 130
            assert 1.5 < time.monotonic() - began_s < 10

    def test_signals_that_are_switched_off_stay_so(self) -> None:
        before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
        try:
            with interruptible() as stop:
                signal.raise_signal(signal.SIGTERM)
                assert not stop()
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
        finally:
            signal.signal(signal.SIGTERM, before)


def hear_signals() -> None:
    """Where the tests run in a shell's background, SIGINT is ignored, and children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def long_corpus(tmp_path: Path) -> Corpus:
    corpus = write_corpus(tmp_path / "corpus")
    write_video(tmp_path / "corpus" / "two.mp4", moving_square(2000, HEIGHT, WIDTH))
    return corpus


@contextmanager
def segmenting(corpus: Corpus, output: str, *options: str) -> Iterator["subprocess.Popen[str]"]:
    """A process in the middle of a long video."""
    arguments = [corpus.manifest, output, "--only", "two/objects", "--device", "cpu", *options]
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "jobs.segment", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_signals,
    )
    assert process.stdout is not None
    while "0 of 1 videos" not in (line := process.stdout.readline()):
        assert line, "it ended too early"
    time.sleep(1.0)
    yield process
    process.kill()
    process.wait()


def assert_clean(output: str) -> None:
    """Nothing committed, nothing half-done, the lease given back."""
    assert digests(output) == {}
    store = Store(output)
    assert [store.list(table) for table in ("masks", "frames")] == [[], []]
    assert json.loads(store.get("_work/driver.1"))["released"] is True
