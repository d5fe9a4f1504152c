"""Numbers of the page are those of its tables."""

import json
import re
import shutil
from html import unescape
from pathlib import Path

import pandas as pd
import pytest

from dyadic.report.dashboard import write_dashboard


@pytest.fixture(scope="module")
def shown(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of the made-up runs and made-up verdicts, one run of them damaged."""
    root = tmp_path_factory.mktemp("said")
    shutil.copytree(runs, root / "runs")
    damaged = sorted((root / "runs").glob("log2-*"))[0] / "summary.json"
    damaged.write_text(damaged.read_text().replace("99.71", "Infinity"))
    for path, wrong in zip(sorted((root / "runs").glob("inq-5*")), (3, 0, 1), strict=True):
        summary = json.loads((path / "summary.json").read_text())
        summary["integer"]["mismatched_logits"] = wrong
        (path / "summary.json").write_text(json.dumps(summary))
    tried = [(0.0, (1.0, 1.1, 0.9, 1.0, 1.2)), (1.0, (-1.0, -1.1, -0.9, -1.0, -1.2))]
    tried += [(0.0, (1.0, -1.0, 0.5, -0.4, 0.1)), (0.0, (1.0, 2.0)), (0.5, ())]
    said = {"paper": "inq", "table": "Table 3", "network": "resnet8", "dataset": "x"}
    claims = [
        said
        | {"experiment": f"x{k % 2}", "claim": f"{k}", "margin": margin, "hardware": "cpu"}
        | {"differences": " ".join(f"{seed}:{margin + d}" for seed, d in enumerate(differences))}
        | {"seeds": len(differences)}
        for k, (margin, differences) in enumerate(tried)
    ]
    (root / "tables").mkdir()
    pd.DataFrame(claims).to_csv(root / "tables" / "claims.csv", index=False)
    write_dashboard(root / "runs", root / "page.html", root / "tables")
    return (root / "page.html").read_text()


def texts_of(page: str, name: str) -> list[list[str]]:
    """The cells of a table of the page."""
    body = page.partition(f'aria-label="{name}"')[2].partition("</table>")[0]
    cells = [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, re.DOTALL) for row in body.split("<tr>")]
    return [[re.sub("<[^>]+>", "", cell).strip() for cell in row] for row in cells[1:]]


def test_counts_are_those_of_the_table_of_runs(shown: str) -> None:
    counts = dict(re.findall(r"<dt>(\w+)</dt><dd>(\d+)</dd>", shown))
    rows = texts_of(shown, "Table of runs")[1:]
    said = [row[9] for row in rows]
    assert int(counts["done"]) == sum(text in ("equal", "differ") for text in said)
    assert int(counts["broken"]) == sum(text.startswith("broken") for text in said) == 1
    assert int(counts["running"]) == sum(text.startswith("running") for text in said) == 1
    assert len(texts_of(shown, "Failed and broken runs")) == 2
    differ = said.count("differ")
    assert differ == 2
    assert f"Integers differ in {differ} of {counts['done']} checked runs." in shown
    summaries = re.findall(r'<p class="sub">(\d+) finished runs?, (\d+) seeds?,', shown)
    assert sum(int(runs) for runs, _ in summaries) == int(counts["done"])
    details = re.search(r"(\d+) of (\d+) runs: those in progress", shown)
    assert int(details[1]) == shown.count('<details id="run-')
    assert int(details[2]) == len(rows)


def test_verdicts_are_counted_as_their_tables_say(shown: str) -> None:
    head, (paper, *counts) = texts_of(shown, "Claims by paper")
    board = dict(zip(head[1:], map(int, counts), strict=True))
    assert (paper, board.pop("most seeds")) == ("inq", 5)
    assert board == dict.fromkeys(
        ["held", "did not hold", "undecided", "too few seeds", "not run"], 1
    )
    found = dict.fromkeys(board, 0)
    for experiment in ("x0", "x1"):
        rows, own = texts_of(shown, f"Verdicts of {experiment}")[1:], dict.fromkeys(board, 0)
        for row in rows:
            kind = next(kind for kind in board if row[1].startswith(kind))
            own[kind] += 1
            found[kind] += 1
            ends = [float(end.replace("\u2212", "-")) for end in row[4].split(" to ") if end]
            margin = {"1": 1.0, "4": 0.5}.get(row[0], 0.0)
            assert (kind == "held") == (len(ends) == 2 and row[5] == "5" and ends[0] >= margin)
            assert (kind == "did not hold") == (len(ends) == 2 and ends[1] < margin)
        words = ", ".join(f"{count} {kind}" for kind, count in own.items() if count)
        assert f"{experiment}: Table 3; {words}</h4>" in shown
    assert found == board


TABLES = Path(__file__).parents[2] / "results" / "tables"


def test_which_claims_of_a_paper_held_how_surely_and_how_to_repeat_them_is_in_one_place(
    runs: Path, tmp_path: Path
) -> None:
    write_dashboard(runs, tmp_path / "page.html", TABLES)
    page = unescape((tmp_path / "page.html").read_text())
    # The claims come first, and a paper's name leads to its section
    assert page.index('<section id="claims">') < page.index('<section id="setting-1">')
    assert '<a href="#paper-inq">inq</a>' in page
    section = page.partition('<details id="paper-inq">')[2].partition("</details>")[0]
    table = pd.read_csv(TABLES / "claims.csv").query("paper == 'inq'")
    assert table.seeds.max() >= 5
    counts = table.verdict.value_counts()
    summary = re.search(r"<summary><b>inq</b><span>(.*?)</span>", section)
    assert sorted(summary[1].split(", ")) == sorted(f"{n} {kind}" for kind, n in counts.items())
    for experiment, own in table.groupby("experiment"):
        command = f"python run.py -m +experiments={experiment}"
        assert section.count(f'data-copy="{command}"') == section.count(f"<code>{command}</") == 1
        shown = {row[0]: row for row in texts_of(section, f"Verdicts of {experiment}")[1:]}
        begun = own[own.network.notna()]
        assert set(shown) == set(begun.claim)
        for row in begun.itertuples():
            _, verdict, _, ours, interval, seeds, p, place = shown[row.claim]
            assert (verdict, int(seeds)) == (row.says, row.seeds)
            assert (interval == "", p == "") == (row.seeds == 0, row.seeds < 5)
            if row.seeds:
                numbers = [float(x.replace("\u2212", "-")) for x in [ours, *interval.split(" to ")]]
                assert numbers == [row.difference, row.low, row.high]
            assert p in ("", "< 0.0001") or float(p) == row.holm
            assert place == f"{row.network} on {row.dataset}, {row.hardware}"
