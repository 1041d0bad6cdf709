"""Where the frames of an annotated video lie, and which of them each annotated picture is."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from jobs.datasets import listing
from jobs.datasets.annotations.annotated import AnnotatedFrame, AnnotatedVideo, Size
from jobs.datasets.pairs import VIDEO_SUFFIXES
from pipeline.errors import InvalidInput
from pipeline.input.frame_folder import PICTURE_CODECS
from pipeline.input.pictures import size_of
from pipeline.input.video import open_video
from pipeline.storage.store import Store, is_folder
from pipeline.storage.urls import name_of, parent_url

_LAST_NUMBER = re.compile(r"(\d+)\D*$")


@dataclass(frozen=True)
class Source:
    """A folder of pictures, or a video file."""

    folder: Store
    """Of the pictures, or of the file."""
    names: Sequence[str] = ()
    """The pictures in natural order; none: it is a file."""
    file: str = ""
    """Its name; "": it is a folder."""

    @property
    def url(self) -> str:
        """Of what a manifest calls the video."""
        return self.folder.url_of(self.file)

    @cached_property
    def _places(self) -> Mapping[str, int]:
        stems = listing.by_stem(self.names, "pictures", self.url)
        places = {listing.stem(name): place for place, name in enumerate(stems.values())}
        return places | {name: place for place, name in enumerate(self.names)}

    def index_of(self, frame: AnnotatedFrame, frames: int) -> int | None:
        """Position in the video of one of so many annotated frames; None: the picture is not there.

        In a folder a picture's name says it, also without its suffix; in a video file the number at the end of it.
        """
        if self.names and frame.picture:
            return self._places.get(frame.picture, self._places.get(listing.stem(frame.picture)))
        if self.names and frame.place is not None and len(self.names) == frames:
            return frame.place  # the folder has the annotated frames alone
        if frame.index is not None:
            return frame.index
        found = _LAST_NUMBER.search(listing.stem(frame.picture))
        return int(found[1]) if found else None

    def size_of(self, index: int) -> Size:
        """H, W of a frame. Raises InvalidInput for a picture without a size, UnreadableVideo, StoreUnavailable."""
        if self.file:
            with open_video(self.url) as reader:
                return reader.info.height, reader.info.width
        name = self.names[index]
        size = size_of(self.folder.get(name))
        if size is None:
            raise InvalidInput(f"{self.folder.url_of(name)}: is no whole JPEG or PNG picture; export or copy it again")
        return size


def find_source(video: AnnotatedVideo, images: Sequence[Store]) -> Source:
    """Where the video is, below the first of `images` that has it. Raises InvalidInput that names them all."""
    places = [(root, folder) for root in images for folder in video.folders]
    for root, folder in places:
        if names := listing.files(root, tuple(PICTURE_CODECS), folder):
            return Source(Store(root.url_of(folder)), names)
    for root, folder in places:
        if folder and (file := _video_file(root, folder)):
            return file
    looked = listing.few(dict.fromkeys(root.url_of(folder) for root, folder in places))
    raise InvalidInput(
        f"{video.where}: has no pictures in {looked}, and no video file of that name; name the folder that holds them "
        "with --images"
    )


def source_of(url: str) -> Source:
    """What a manifest calls a video: a folder of pictures, or a video file. Raises FileNotFoundError."""
    if is_folder(url):
        folder = Store(url)
        return Source(folder, listing.files(folder, tuple(PICTURE_CODECS)))
    return Source(Store(parent_url(url)), file=name_of(url))


def _video_file(root: Store, path: str) -> Source | None:
    above, _, name = path.rpartition("/")
    names = listing.files(root, VIDEO_SUFFIXES, above)
    found = [one for one in names if one == name] or [one for one in names if listing.stem(one) == name]
    if len(found) > 1:
        raise InvalidInput(f"{root.url_of(above)}: several videos are called {name} ({listing.few(found)}); keep one")
    return Source(Store(root.url_of(above)), file=found[0]) if found else None
