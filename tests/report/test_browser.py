"""The page in headless Chromium: it runs without a complaint, sorts, filters and fits a phone."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from html import escape, unescape
from pathlib import Path

import pandas as pd
import pytest

from dyadic.report.dashboard import write_dashboard

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
FLAGS = [
    *["--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"],
    *["--disable-background-networking", "--disable-component-update", "--enable-logging=stderr"],
    *["--virtual-time-budget=6000", "--window-size=1400,9000", "--dump-dom"],
]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine"),
]


@pytest.fixture(scope="module")
def page(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("page") / "dashboard.html"
    seeds = " ".join(f"{seed}:{0.1 * seed - 0.4:.2f}" for seed in range(5))
    said = {"experiment": "inq_bits", "paper": "inq", "table": "Table 3", "statement": "It is so."}
    said |= {
        "differences": seeds,
        "difference": -0.2,
        "seeds": 5,
        "network": "resnet8",
        "dataset": "x",
    }
    claims = [said | {"claim": f"{m:g}", "margin": m, "published": 0.1} for m in (-2.0, -0.2, 0.5)]
    pd.DataFrame(claims).to_csv(out.with_name("claims.csv"), index=False)
    write_dashboard(runs, out, out.parent)
    return out


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., tuple[str, str]]:
    """Open a file with a fragment; returns the document as it stands then, and the console."""

    def run(path: Path, fragment: str = "", flags: Sequence[str] = ()) -> tuple[str, str]:
        # Chromium's own sandbox refuses to start for root, as in a container
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        profile = f"--user-data-dir={tmp_path / 'profile'}"
        address = path.as_uri() + fragment
        command = [CHROMIUM, *FLAGS, *flags, *sandbox, profile, address]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
        return done.stdout, "\n".join(console)

    return run


def visible(document: str) -> list[list[str]]:
    """The cells of the run table's rows that are not hidden, in their order."""
    body = (
        document.partition('<table id="runs">')[2].partition("<tbody>")[2].partition("</tbody>")[0]
    )
    rows = re.findall(r"<tr( hidden[^>]*)?>(.*?)</tr>", body, re.DOTALL)
    return [
        [unescape(re.sub("<[^>]+>", "", cell)) for cell in re.findall(r"<td.*?</td>", row)]
        for hidden, row in rows
        if not hidden
    ]


def charts(document: str) -> list[str]:
    """What stands in every place for a chart that is open."""
    body = re.sub(r"<script.*?</script>", "", document, flags=re.DOTALL)
    return re.findall(r'data-chart="\d+"[^>]*>(<(?:svg|div).*?)</figure>', body, re.DOTALL)


def test_no_complaint_and_every_chart_in_view_is_drawn(page: Path, load) -> None:
    document, console = load(page, "#open=run-inq-4bit-seed1,paper-inq")
    assert console == ""
    drawings = charts(document)
    assert len(drawings) == 3 + 1
    fold = document.partition('data-run="inq-4bit-seed1"')[2].partition("</details>")[0]
    assert re.findall("<b>(\\w+)</b>", fold) == ["Training", "Layers", "Weights"]
    drawings += re.findall("<svg.*?</svg>", fold, re.DOTALL)
    assert len(drawings) == 3 + 1 + 3
    assert all(f">{words}</text>" in fold for words in ("freeze 50 %", "SQNR of the weights, dB"))
    assert all(f">{mark}</text>" in document for mark in ("seed", "mean", "margin", "published"))
    assert all(re.search('<path[^>]* d="M', drawing) for drawing in drawings)
    assert len(visible(document)) == 49


def test_runs_that_are_ticked_are_laid_over_one_another(page: Path, load) -> None:
    document, console = load(page, "#compare=inq-4bit-seed1,log2-3bit-seed0")
    assert console == ""
    section = document.partition('id="compare"')[2].partition('<section id="papers">')[0]
    assert section.count("<svg") == 3
    assert ">inq-4bit-seed1</li>" in section
    assert "freeze 50 %" not in section  # whose event would it be?
    assert "<td>bits</td><td>4</td><td>3</td>" in section
    alone, _ = load(page, "#compare=inq-4bit-seed1")
    assert "<svg" not in alone.partition('id="compare"')[2].partition("<section")[0]


def test_a_dark_page_has_dark_charts(page: Path, load) -> None:
    probe = page.with_name("dark.html")
    script = "const mark = [...document.querySelectorAll('svg.marks [stroke]')];"
    script += "document.title = mark.map((m) => getComputedStyle(m).stroke).join(';');"
    script = f"<script>setInterval(() => {{{script}}}, 100)</script></body>"
    head, _, tail = page.read_text().rpartition("</body>")  # Vega's own text has another
    probe.write_text(head + script + tail)
    colours = {}
    for mode, flags in (("light", []), ("dark", ["--blink-settings=preferredColorScheme=0"])):
        document, _ = load(probe, flags=flags)
        colours[mode] = re.search("<title>(.*?)</title>", document)[1].split(";")
    assert len(colours["light"]) == len(colours["dark"]) > 20
    assert "rgb(17, 119, 51)" in colours["light"]
    assert "rgb(17, 119, 51)" not in colours["dark"]
    assert "rgb(92, 201, 123)" in colours["dark"]


def test_sorting(page: Path, load) -> None:
    document, _ = load(page, "#sort=top-1&dir=desc")
    scores = [row[3] for row in visible(document)]
    numbers = [float(score) for score in scores if score]
    assert numbers == sorted(numbers, reverse=True)
    assert scores[-1] == "", "a run without a score comes last"
    assert re.search(r'aria-sort="descending"><button type="button">top-1<', document)
    document, _ = load(page, "#sort=run&dir=asc")
    names = [row[0].strip() for row in visible(document)]
    assert names == sorted(names)


def test_filtering(page: Path, load) -> None:
    document, _ = load(page, "#filter=seed1&method=inq")
    assert {row[0].strip() for row in visible(document)} == {
        f"inq-{b}bit-seed1" for b in (2, 3, 4, 5)
    }
    assert ">4 of 49 runs</output>" in document
    document, _ = load(page, "#bits=4")
    assert {row[2] for row in visible(document)} == {"4"}


def test_the_address_opens_a_run(page: Path, load) -> None:
    document, _ = load(page, "#open=run-inq-4bit-seed1,paper-inq")
    opened = re.findall(r'<details id="([^"]+)" open', document)
    assert opened == ["paper-inq", "run-inq-4bit-seed1"]


SCRIPT = """
const frame = document.querySelector("iframe");
const root = frame.contentDocument.documentElement;
const opened = frame.contentDocument.querySelectorAll("details");
opened.forEach((details) => { details.open = true; });
const button = frame.contentDocument.querySelectorAll("th button")[2];
button.focus();
button.click();
document.title = [root.scrollWidth <= root.clientWidth, button.closest("th").ariaSort,
  frame.contentDocument.activeElement === button].join(" ");
"""


def test_nothing_is_wider_than_a_phone_and_a_heading_is_a_button(page: Path, load) -> None:
    inner = escape(page.read_text())
    outer = page.with_name("phone.html")
    outer.write_text(
        f'<body><iframe srcdoc="{inner}" style="width:390px;height:800px;border:0"></iframe>'
        f'<script>addEventListener("load", () => {{{SCRIPT}}});</script></body>'
    )
    document, _ = load(outer)
    title = re.search("<title>(.*?)</title>", document)
    assert title is not None
    assert title[1] == "true descending true"
