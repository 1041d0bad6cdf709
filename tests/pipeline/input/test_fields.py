"""Typed reads of JSON objects that note what is wrong."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.input.fields import Fault, Fields

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "y"]), inner, max_size=2),
    max_leaves=5,
)


def read(value: object) -> tuple[Fields, list[Fault]]:
    faults: list[Fault] = []
    return Fields(7, {"x": value}, ["x", "y"], faults), faults


@given(JSON)
def test_whatever_a_field_holds_is_read_or_a_fault_of_its_row(value: object) -> None:
    """No JSON value raises, and none is taken for another kind without a word."""
    for kind in ("text", "integer", "mapping", "objects", "object_ids"):
        fields, faults = read(value)
        arguments = {"integer": [0], "objects": [["x", "y"]]}.get(kind, [])
        found = getattr(fields, kind)("x", *arguments)
        optional = kind in ("integer", "mapping", "object_ids")
        if optional and value is None:
            assert not found and not faults
        elif kind == "objects":
            assert bool(faults) or len(found) == len(value)
        elif not faults:
            assert (list(found) if kind == "object_ids" else found) == (
                sorted(value) if kind == "object_ids" else value
            )
        assert all(fault.row == 7 and "x" in fault.text for fault in faults)


def test_truth_values_are_no_numbers() -> None:
    fields, faults = read(True)
    assert fields.integer("x", least=0) is None
    assert str(faults[0]) == "row 7: x is true, expected a whole number from 0 to 2147483647"


def test_faults_of_inner_objects_say_where() -> None:
    fields, faults = read([{"x": "a"}, {"x": 3, "z": 1}])
    assert [inner.text("x") for inner in fields.objects("x", ["x"])] == ["a", ""]
    assert [fault.text for fault in faults] == [
        "x[1]: unknown column 'z'; the columns are x",
        "x[1]: x is 3, expected text",
    ]


def test_a_name_that_is_nearly_right_is_recognized() -> None:
    faults: list[Fault] = []
    Fields(1, {"vidoe_id": "a"}, ["video_id", "video_uri"], faults)
    assert [fault.text for fault in faults] == ["unknown column 'vidoe_id'; did you mean 'video_id'?"]
