"""Annotation files, read so that no file can do harm: nothing is executed, fetched or expanded."""

import json
from collections.abc import Mapping
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

import yaml

from pipeline.errors import InvalidInput
from pipeline.storage.store import read_url


def read_file(url: str, what: str) -> bytes:
    """The bytes of a file; `what` it should be is in the message. Raises InvalidInput, StoreUnavailable."""
    try:
        return read_url(url)
    except FileNotFoundError:
        raise InvalidInput(f"{url}: no such file; name {what}") from None


def key_in(value: Mapping[str, Any], *names: str) -> int | str | None:
    """The first number or text under these names, to look things up by; None where there is none."""
    found = (value.get(name) for name in names)
    return next((one for one in found if isinstance(one, int | str)), None)


def read_json(url: str, what: str) -> Any:
    """What a JSON file says. Raises InvalidInput, StoreUnavailable."""
    try:
        return json.loads(read_file(url, what))
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{url}: is no JSON ({error}); name {what}, or export it again") from error


def read_json_object(url: str, what: str, keys: tuple[str, ...]) -> Mapping[str, Any]:
    """A JSON object that has these keys. Raises InvalidInput, StoreUnavailable."""
    content = read_json(url, what)
    missing = keys if not isinstance(content, dict) else [key for key in keys if key not in content]
    if missing:
        raise InvalidInput(f"{url}: has no {' and no '.join(missing)}, so it is not {what}; choose another --layout")
    return dict(content)


def read_xml(url: str, what: str) -> Element:
    """The root of an XML file; one with a document type, which may hold entities, is refused.

    Raises InvalidInput, StoreUnavailable.
    """
    data = read_file(url, what)
    builder, parser = TreeBuilder(), expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = _refuse_document_type
    try:
        parser.Parse(data, True)
    except InvalidInput as error:
        raise error.about(url) from error
    except (expat.ExpatError, ValueError) as error:  # ValueError: an unknown encoding
        raise InvalidInput(f"{url}: is no XML ({error}); name {what}, or export it again") from error
    return builder.close()


def _refuse_document_type(*_: object) -> None:
    raise InvalidInput("has a DOCTYPE, which no annotation tool writes and which may hold entities; take it out")


def read_yaml(url: str, what: str) -> Mapping[str, Any]:
    """What a YAML file of keys and values says. Raises InvalidInput, StoreUnavailable."""
    try:
        content = yaml.safe_load(read_file(url, what))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InvalidInput(f"{url}: is no YAML ({error}); name {what}, or export it again") from error
    if not isinstance(content, dict):
        raise InvalidInput(f"{url}: is no YAML of keys and values; name {what}, or export it again")
    return content


def read_text(url: str, what: str) -> str:
    """A text file in UTF-8. Raises InvalidInput, StoreUnavailable."""
    try:
        return read_file(url, what).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{url}: is no text in UTF-8 ({error}); name {what}, or export it again") from error
