import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.reports.scripts import data_script
from tests.jobs.reports.reading import values

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda part: st.lists(part) | st.dictionaries(st.text(), part),
)


@given(st.text(), JSON)
def test_a_script_brings_what_it_was_given(key: str, value: object) -> None:
    assert values(data_script("video", key, value)) == [key, value]


@given(st.text())
def test_nothing_in_it_ends_an_element_or_a_line(text: str) -> None:
    script = data_script("summary", {text: text})
    assert b"<" not in script
    assert script.decode("ascii").splitlines(keepends=True) == [script.decode("ascii")]


def test_a_value_that_json_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        data_script("summary", float("nan"))
