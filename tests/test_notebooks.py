"""The notebooks as they are committed: run once from top to bottom, with plots, and portable.

That they still run is nbmake's part (`testpaths` in pyproject.toml).
"""

import json
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "notebooks"
NAMES = ("choosing_bits", "float_to_integers", "inq", "log_or_linear")
NAMES += ("own_network", "reading_runs", "training")
PLACE = re.compile(r"/(?:work|tmp|home|root|Users|var|opt)/|\b[A-Z]:\\")  # a path of some machine


@pytest.fixture(params=NAMES)
def cells(request: pytest.FixtureRequest) -> list[dict]:
    return json.loads((FOLDER / f"{request.param}.ipynb").read_text())["cells"]


def outputs(cells: list[dict]) -> list[dict]:
    return [output for cell in cells for output in cell.get("outputs", [])]


def test_there_are_these_and_they_are_small():
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == list(NAMES)
    assert sum(path.stat().st_size for path in FOLDER.glob("*.ipynb")) < 700_000


def test_the_outputs_are_of_one_execution_without_complaints(cells):
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert not [x for x in outputs(cells) if x["output_type"] == "error"]
    assert not [x for x in outputs(cells) if x.get("name") == "stderr"]


def test_what_is_said_is_asserted_or_drawn(cells):
    source = "\n".join("".join(cell["source"]) for cell in cells)
    assert len(re.findall(r"^\s*assert ", source, re.MULTILINE)) >= 10
    drawn = {kind for x in outputs(cells) for kind in x.get("data", {})}
    assert drawn & {"image/png", "image/svg+xml"}
    assert re.search(r"\(.+ 20\d\d\)", source)  # the paper


def test_no_output_names_a_place_of_the_machine_it_ran_on(cells):
    texts = [json.dumps(x.get("text") or x["data"].get("text/plain")) for x in outputs(cells)]
    assert not [text for text in texts if PLACE.search(text)]
