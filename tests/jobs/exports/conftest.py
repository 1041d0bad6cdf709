"""What the tests of exports share."""

import pytest

from tests.jobs.exports.outputs import Output, make_output


@pytest.fixture(scope="session")
def output(tmp_path_factory: pytest.TempPathFactory) -> Output:
    return make_output(tmp_path_factory.mktemp("output"))
