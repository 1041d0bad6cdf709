"""Videos that are opened ahead: given once, closed when nobody wants them, their errors kept for the right moment."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.errors import StoreUnavailable, UnreadableVideo
from pipeline.input.manifest import VideoTask
from pipeline.input.video import open_video
from pipeline.run import prefetch as prefetch_module
from pipeline.run.prefetch import OpenVideo, Prefetch
from tests.pipeline.corpus import FRAMES, Corpus, write_corpus


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture
def tasks(corpus: Corpus) -> dict[str, VideoTask]:
    return {task.video_id: task for task in corpus.tasks + corpus.broken_tasks}


@pytest.fixture
def prefetch() -> Iterator[Prefetch]:
    before = set(threading.enumerate())
    prefetch = Prefetch(binary_masks=False, queue_frames=2)
    yield prefetch
    prefetch.close()
    assert set(threading.enumerate()) <= before


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """URLs of the videos that were opened, as it happens."""
    urls = list[str]()

    def counting(url: str, **options: int) -> object:
        urls.append(url)
        return open_video(url, **options)

    monkeypatch.setattr(prefetch_module, "open_video", counting)
    return urls


def frames_of(video: OpenVideo) -> list[int]:
    with video:
        return [frame.index for frame in video.frames]


@pytest.mark.parametrize("video_id", FRAMES)
def test_it_gives_frames_and_prompts(tasks: dict[str, VideoTask], video_id: str) -> None:
    task = tasks[video_id]
    video = OpenVideo(task, binary_masks=False, queue_frames=2)
    assert video.prompts.get(task.prompts[0].frame_index)
    assert frames_of(video) == list(FRAMES[video_id])


def test_what_was_begun_is_given_and_not_opened_again(
    prefetch: Prefetch, tasks: dict[str, VideoTask], opened: list[str]
) -> None:
    prefetch.begin(tasks["walk"])
    assert frames_of(prefetch.take(tasks["walk"])) == list(FRAMES["walk"])
    assert opened == [tasks["walk"].video_uri]


def test_it_is_given_once(prefetch: Prefetch, tasks: dict[str, VideoTask], opened: list[str]) -> None:
    prefetch.begin(tasks["walk"])
    for _ in range(2):
        assert frames_of(prefetch.take(tasks["walk"])) == list(FRAMES["walk"])
    assert len(opened) == 2


def test_another_video_is_opened_meanwhile(prefetch: Prefetch, tasks: dict[str, VideoTask], opened: list[str]) -> None:
    prefetch.begin(tasks["walk"])
    assert frames_of(prefetch.take(tasks["folder"])) == list(FRAMES["folder"])
    assert frames_of(prefetch.take(tasks["walk"])) == list(FRAMES["walk"])
    assert sorted(opened) == sorted([tasks["walk"].video_uri, tasks["folder"].video_uri])


def test_the_last_one_begun_is_kept(prefetch: Prefetch, tasks: dict[str, VideoTask], opened: list[str]) -> None:
    prefetch.begin(tasks["walk"])
    prefetch.begin(tasks["folder"])
    assert frames_of(prefetch.take(tasks["folder"])) == list(FRAMES["folder"])
    assert opened.count(tasks["folder"].video_uri) == 1


def test_what_goes_wrong_is_said_to_who_asks(prefetch: Prefetch, tasks: dict[str, VideoTask]) -> None:
    prefetch.begin(tasks["garbage"])
    with pytest.raises(UnreadableVideo, match="is not a video"):
        prefetch.take(tasks["garbage"])
    prefetch.begin(tasks["garbage"])  # nobody asks


def test_what_the_store_failed_is_asked_again(
    prefetch: Prefetch, tasks: dict[str, VideoTask], monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = threading.Event()

    def once(url: str, **options: int) -> object:
        if not failed.is_set():
            failed.set()
            raise StoreUnavailable("no answer")
        return open_video(url, **options)

    monkeypatch.setattr(prefetch_module, "open_video", once)
    prefetch.begin(tasks["walk"])
    assert failed.wait(30)
    assert frames_of(prefetch.take(tasks["walk"])) == list(FRAMES["walk"])


def test_a_source_that_is_given_stays_open_whatever_is_begun(prefetch: Prefetch, tasks: dict[str, VideoTask]) -> None:
    """The driver begins the next one in the very moment in which the worker takes this one."""
    for _ in range(30):
        prefetch.begin(tasks["walk"])
        with ThreadPoolExecutor(1) as driver:
            begun = driver.submit(prefetch.begin, tasks["folder"])
            assert frames_of(prefetch.take(tasks["walk"])) == list(FRAMES["walk"])
            begun.result()
