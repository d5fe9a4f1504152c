"""Prices: fitted to what was counted and timed, kept by library and processor, about time alone."""

import json

import numpy as np
import pytest
from tests.integer.resnet20 import resnet20

from dyadic.integer.engines.compiled import CompiledEngine, available_paths, prices
from dyadic.integer.engines.compiled.choose import cost, parts
from dyadic.integer.engines.compiled.plan import Planned
from dyadic.integer.engines.compiled.sets import SETS
from dyadic.integer.program.bounds import prove

BEST = available_paths()[0]
needs_dots = pytest.mark.skipif(BEST == "portable", reason="no dot products here")


@pytest.fixture(autouse=True)
def _forget():
    prices.prices_of.cache_clear()
    yield
    prices.prices_of.cache_clear()


def test_a_fit_finds_the_prices_that_made_the_times():
    counts = np.random.default_rng(0).integers(0, 100, (12, 5)).astype(float)
    counts[:, 3] = 0  # never counted, no price
    wanted = np.array([2.0, 0.5, 0, 0, 7])
    assert np.allclose(prices.fit_prices(counts, counts @ wanted), wanted)


def test_no_price_is_negative():
    counts = np.array([[1.0, 10], [2, 10], [3, 10]])
    made = prices.fit_prices(counts, np.array([3.0, 2, 1]))
    assert (made >= 0).all()
    assert made.any()


@needs_dots
def test_they_are_measured_once_and_measured_again_where_damaged(monkeypatch, tmp_path):
    monkeypatch.setenv("DYADIC_CACHE", str(tmp_path))
    measured = []

    def measure_prices(path):
        measured.append(path)
        return {name: 1.0 + len(measured) for name in SETS[path].prices}

    monkeypatch.setattr(prices, "measure_prices", measure_prices)
    first = prices.prices_of(BEST)
    prices.prices_of.cache_clear()
    assert prices.prices_of(BEST) == first
    (file,) = tmp_path.glob("*.json")
    assert json.loads(file.read_text()) == first
    for damage in ("{", "[]", '{"dot8": 1}', '{"dot8": null}'):
        file.write_text(damage)
        prices.prices_of.cache_clear()
        assert prices.prices_of(BEST) != first
    assert len(measured) == 5


@needs_dots
def test_where_they_cannot_be_kept_they_serve_all_the_same(monkeypatch, tmp_path):
    def full(path):
        raise OSError("no space left on device")

    monkeypatch.setenv("DYADIC_CACHE", str(tmp_path))
    monkeypatch.setattr(prices, "write_atomically", full)
    monkeypatch.setattr(prices, "measure_prices", lambda path: SETS[path].prices)
    assert prices.prices_of(BEST) == SETS[BEST].prices
    assert not list(tmp_path.glob("*.json"))


@needs_dots
def test_they_are_measured(monkeypatch):
    monkeypatch.setattr(prices, "LAYERS", ((16, 16, 12), (32, 16, 12), (16, 32, 12)))
    monkeypatch.setattr(prices, "OTHERS", 1)
    made = prices.measure_prices(BEST)
    assert made.keys() == SETS[BEST].prices.keys()
    assert made["dot8"] > 0


def test_without_dot_products_there_is_nothing_to_measure():
    assert prices.prices_of("portable") == SETS["portable"].prices


@needs_dots
def test_other_prices_choose_other_algorithms_and_the_same_integers():
    program = resnet20(size=12)
    images = np.random.default_rng(0).integers(0, 256, (2, *program.input_shape), np.uint8)
    engines = [
        CompiledEngine(program, path=BEST, prices=prices.preferring(BEST, points))
        for points in (0, 6)
    ]
    assert engines[0].algorithms != engines[1].algorithms
    assert np.array_equal(engines[0].run(images), engines[1].run(images))


def test_a_layer_costs_its_parts():
    assert cost({"dot8": 10, "far": 2}, {"dot8": 0.5, "far": 3, "dot16": 9}) == 11


@pytest.mark.parametrize("path", [name for name, path in SETS.items() if path.dots])
def test_what_is_counted_has_a_price(monkeypatch, path):
    monkeypatch.setattr(prices, "LAYERS", ((16, 32, 12),))
    for layer, points in prices._probes():
        proof = prove(layer)
        planned = Planned(proof, path, prices=prices.preferring(path, points))
        choice = planned.steps.choices["conv"]
        counted = parts(proof.program.operations[1], choice, proof, SETS[path])
        assert counted.keys() <= SETS[path].prices.keys()
