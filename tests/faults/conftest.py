"""The fault campaign says how many cases it tried, and how many went wrong."""

from collections.abc import Callable, Iterator

import pytest

Tell = Callable[[str, int, list[str]], None]


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Iterator[Tell]:
    """`tell(kind, cases, failures)` prints a line of the campaign and fails where there are any."""

    def line(kind: str, cases: int, failures: list[str]) -> None:
        with capsys.disabled():
            print(f"\n{kind:<44} {cases:>6} cases {len(failures):>4} failures")
        assert cases > 0
        assert not failures, failures[:5]

    return line
