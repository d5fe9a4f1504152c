import base64
import gzip
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dyadic.record.read import read_records
from dyadic.report import charts, dashboard
from dyadic.report.dashboard import DETAILED, chosen, integers, main, write_dashboard
from dyadic.report.data.runs import overview
from dyadic.report.data.seeds import configurations
from dyadic.report.page import run
from dyadic.report.page.overview import settings
from dyadic.report.page.run import detail, drawn_runs

METHODS = ("bottom_up", "inq", "log2", "log_sqrt2", "uniform")
TABLES = Path(__file__).parents[2] / "results" / "tables"


@pytest.fixture(scope="module")
def page(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("page") / "dashboard.html"
    write_dashboard(runs, out, TABLES)
    return out.read_text()


def test_every_run_has_a_row(page: str, runs: Path) -> None:
    body = page.partition('<table id="runs">')[2].partition("</table>")[0]
    for record in read_records(runs):
        assert f'name="{record.name}"' in body
    assert body.count("<tr>") == len(read_records(runs)) + 1


def test_the_page_asks_for_nothing(page: str) -> None:
    page = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)  # Vega names addresses
    assert not re.search(r"""(?:src|href|action)\s*=\s*["']?(?:https?:)?//""", page)
    assert not re.search(r"@import|url\(\s*['\"]?(?!data:)", page)
    assert "default-src 'none'" in page


def data_of(page: str) -> dict:
    """What the page's script draws."""
    packed = page.partition('id="data">')[2].partition("</script>")[0]
    return json.loads(gzip.decompress(base64.b64decode(packed)))


def test_every_chart_has_a_declaration_its_tables_and_words(page: str) -> None:
    data = data_of(page)
    places = re.findall(r'role="img" aria-label="([^"]+)" data-chart="(\d+)"', page)
    assert sorted(int(number) for _, number in places) == list(range(len(data["drawn"])))
    assert len(places) > 10
    assert all(len(words) > 10 for words, _ in places)
    for chart in data["drawn"]:
        declared = json.dumps(chart["declared"])
        assert set(re.findall(r'"data": {"name": "(\w+)"}', declared)) == set(chart["data"])
    detailed = re.findall(r'data-run="([^"]+)"', page)
    assert len(detailed) == DETAILED
    drawn = data["runs"]
    assert set(drawn["bins"]) == set(detailed)
    for name in ("epochs", "rows"):
        place = drawn[name]["columns"].index("run")
        assert set(detailed) <= {row[place] for row in drawn[name]["data"]} | {"inq-3bit-seed9"}


def test_the_first_sentence_is_the_answer_at_four_bits(page: str) -> None:
    claim = re.search(r"<h1>(.*?)</h1>", page)
    assert claim is not None
    assert claim[1].startswith("At 4 bits ")
    assert "No logit differs in 48 of 48 checked runs." in page


def test_every_width_has_its_winner_with_seeds_and_lead(page: str) -> None:
    table = page.partition('class="scroll winners"')[2].partition("</table>")[0]
    cells = [re.findall(r"<td.*?</td>", row) for row in table.split("<tr>")[2:]]
    texts = [[re.sub("<[^>]+>", "", cell) for cell in row] for row in cells]
    assert [row[0] for row in texts] == ["2", "3", "4", "5"]
    for row in texts:
        assert row[1] in METHODS
        assert row[2] == "16 epochs of training"
        assert int(row[5]) >= 2
        assert row[10].startswith("too few seeds")


def test_generated_data_come_last_and_no_two_sections_have_one_title(runs: Path) -> None:
    frame = overview(read_records(runs))
    frame.loc[frame.seed == 1, "dataset"] = "synthetic"
    frame.loc[frame.seed == 1, "float_network"] = "b"
    frame.loc[frame.seed == 0, ["held_out", "float_network"]] = [30000.0, "a"]
    frame.loc[frame.method == "inq", "seed"] += 10
    found = settings(frame, configurations(frame))
    assert [item["dataset"] for item in found] == ["fashion_mnist", "fashion_mnist", "synthetic"]
    assert "30 000 held-out images" in "".join(item["summary"] for item in found)
    assert len({item["title"] for item in found}) == 3


def test_published_numbers_are_beside_ours_in_their_papers_section(page: str) -> None:
    section = page.partition('id="paper-inq"')[2].partition("</details>")[0]
    table = section.partition('aria-label="Numbers of inq_bits"')[2].partition("</table>")[0]
    (row,) = pd.read_csv(TABLES / "inq_bits.csv").query("arm == '5 bits'").to_dict("records")
    cells = next(line for line in table.split("<tr>") if ">5 bits</td>" in line)
    assert f">{row['published']:.2f}</td>" in cells
    assert f">{row['top-1']:.2f}</td>" in cells


def test_a_name_cannot_become_markup(make_run, tmp_path: Path) -> None:
    path = make_run(tmp_path / "runs", "inq", 4, 0)
    summary = json.loads((path / "summary.json").read_text())
    summary |= {"method": "<script>x</script>", "note": "<b>", "size_convention": ["a list"]}
    (path / "summary.json").write_text(json.dumps(summary))
    write_dashboard(tmp_path / "runs", tmp_path / "page.html", tmp_path)
    text = (tmp_path / "page.html").read_text()
    assert "<script>x" not in text
    assert "&lt;script&gt;x" in text


def test_without_runs_the_page_says_so(tmp_path: Path) -> None:
    write_dashboard(tmp_path, tmp_path / "page.html", tmp_path)
    assert "No run has finished yet." in (tmp_path / "page.html").read_text()


def test_a_run_with_a_summary_alone_is_shown(make_run, tmp_path: Path) -> None:
    path = make_run(tmp_path / "runs", "inq", 4, 0, details=False)
    for key in ("integer", "seconds", "quantizer", "epochs", "classes", "gbops", "size_mib"):
        summary = json.loads((path / "summary.json").read_text())
        del summary[key]
        (path / "summary.json").write_text(json.dumps(summary))
    write_dashboard(tmp_path / "runs", tmp_path / "page.html", tmp_path)
    assert path.name in (tmp_path / "page.html").read_text()


def test_a_thousand_runs_stay_below_five_megabytes(make_run, tmp_path: Path) -> None:
    for number in range(1000):
        path = make_run(tmp_path / "runs", "inq", 2 + number % 4, number, details=number % 20 == 0)
        assert path.is_dir()
    write_dashboard(tmp_path / "runs", tmp_path / "page.html", tmp_path)
    assert (tmp_path / "page.html").stat().st_size < 5_000_000


def test_details_are_of_running_and_best_runs_first(runs: Path) -> None:
    frame = overview(read_records(runs))
    names = chosen(frame)
    assert len(names) == DETAILED
    assert names[0] == "inq-3bit-seed9"
    best = frame[frame.status == "done"].sort_values("top1").groupby(["method", "bits"]).name.last()
    assert set(best) <= set(names)


def test_details_are_of_the_whole_training_set_before_parts_of_it(runs: Path) -> None:
    frame = overview(read_records(runs))
    frame.loc[frame.method == "inq", "held_out"] = 30000.0
    frame.loc[frame.method == "log2", "dataset"] = "synthetic"
    methods = [name.split("-")[0] for name in chosen(frame)]
    first = {method: methods.index(method, 1) for method in METHODS}  # 0 is in progress
    assert first["uniform"] < first["inq"] < first["log2"]


def test_a_run_is_drawn_as_its_files_say(make_run, tmp_path: Path) -> None:
    make_run(tmp_path, "inq", 4, 0)
    records = read_records(tmp_path)
    frame = overview(records)
    drawn = drawn_runs(records, frame, [records[0].name])
    epochs, layers, bins = drawn["epochs"], drawn["rows"], drawn["bins"][records[0].name]
    assert len(layers) == 20
    assert layers.sqnr_db.notna().all()
    labels = dict.fromkeys(bins["layer"])
    assert len(labels) == 20
    assert all("9 levels" in label for label in labels)
    events = [event for event in epochs.event if event]
    assert events == [f"freeze {share} %" for share in ("50", "75", "87.5", "100")]
    assert set(epochs.float_top1) == {92.6}
    shown = detail(records[0], next(frame.itertuples()))
    assert "--config-name config" in shown["command"]
    assert dict(shown["facts"])["top-1"] == f"{frame.top1[0]:.2f} %"


def test_a_panel_is_logarithmic_only_where_its_title_ends_so() -> None:
    table = pd.DataFrame({"run": "a", "layer": ["x"], "error": [1.0], "rise": [0.1]})
    shown = {"error": "difference, logits", "rise": "rise, log", "missing": "missing"}
    panels = charts.layers("Layers", table, shown=shown).declared["concat"]
    assert [panel["encoding"]["x"]["scale"]["type"] for panel in panels] == ["linear", "log"]
    assert [panel["title"]["text"] for panel in panels] == ["difference, logits", "rise, log"]


def test_chosen_widths_are_a_strip_with_their_budget(make_run, tmp_path: Path) -> None:
    path = make_run(tmp_path, "uniform", 4, 0)
    budget = {"gbops": {"used": 0.45, "limit": 0.5}, "latency": {"used": 1.25, "limit": None}}
    summary = json.loads((path / "summary.json").read_text())
    summary |= {"allocation": "ilp", "budget": budget}
    (path / "summary.json").write_text(json.dumps(summary))

    def facts() -> dict[str, str]:
        (record,) = read_records(tmp_path)
        return dict(detail(record, next(overview([record]).itertuples()))["facts"])

    found = facts()
    assert found["allocation"] == "ILP"
    assert found["widths"] == "8/8 4/8×18 8/8"
    assert found["budget"] == "0.45 of 0.5 GBOPS used, 90.0 %"
    assert found["predicted latency"] == "1.25 ms"
    (path / "layers.csv").write_text("layer,weight_bits\nconv1,\n")  # half of what is written
    assert "widths" not in facts()


def test_the_layers_with_the_least_signal_are_drawn_and_damaged_ones_are_not(
    make_run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_run(tmp_path, "inq", 4, 0)
    with np.load(path / "histograms.npz") as archive:
        arrays = dict(archive)
    del arrays["layer1.0.conv1/error_counts"]
    np.savez(path / "histograms.npz", **arrays)
    monkeypatch.setattr(run, "HISTOGRAMS", 5)
    records = read_records(tmp_path)
    drawn = drawn_runs(records, overview(records), [records[0].name])
    names = [label.split(":")[0] for label in dict.fromkeys(drawn["bins"][records[0].name].layer)]
    least = records[0].layers().sort_values("sqnr_db").layer.head(5)
    assert sorted(names) == sorted(set(least) - {"layer1.0.conv1"})


def test_one_differing_logit_is_said_aloud(runs: Path) -> None:
    frame = overview(read_records(runs))
    frame.loc[3, "integer_passed"] = False
    assert integers(frame)[:2] == ("bad", "Integers differ in 1 of 48 checked runs.")
    frame["integer_passed"] = None
    assert integers(frame)[0] == "open"


def test_the_command_line(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([str(runs), "page.html"]) == 0
    assert capsys.readouterr().out == "page.html\n"
    assert main([str(tmp_path / "nowhere")]) == 2
    assert "make run" in capsys.readouterr().err


def test_watching_writes_a_page_that_loads_itself_again(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(dashboard.time, "sleep", stop)
    monkeypatch.chdir(tmp_path)
    assert main([str(runs), "page.html", "--watch"]) == 0
    assert '<meta http-equiv="refresh" content="5">' in Path("page.html").read_text()
