"""What YouTube-VOS adds to the layout of DAVIS: `meta.json`, which names the categories of the objects."""

import json
from collections.abc import Mapping

from pipeline.errors import InvalidInput
from pipeline.storage.store import Store

_CATEGORIES = "meta.json"


def read_categories(root: Store) -> Mapping[str, Mapping[str, str]]:
    """By video the category of each object id; empty where there is no such file. Raises InvalidInput for a bad one."""
    try:
        videos = json.loads(root.get(_CATEGORIES))["videos"]
        return {name: _of_objects(video.get("objects", {})) for name, video in videos.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise InvalidInput(
            f"{root.url_of(_CATEGORIES)} is no list of YouTube-VOS categories ({error!r}): correct or remove it"
        ) from error


def _of_objects(objects: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    return {object_id: found["category"] for object_id, found in objects.items()}
