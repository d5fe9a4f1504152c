from pathlib import Path

from dyadic.record.chosen import spent, strip, widths_of


def test_a_latency_budget_is_a_budget_and_a_prediction() -> None:
    lines = spent({"budget": {"latency": {"used": 1.5, "limit": 2.0}}})
    assert lines == [
        ("budget", "1.5 of 2 ms used, 75.0 %"),
        ("predicted latency", "1.5 ms"),
    ]
    assert spent({"budget": {}}) == spent({}) == []


def test_the_strip_is_that_of_the_layers_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "layers.csv"
    path.write_text("layer,weight_bits,activation_bits\na,8,8\nb,4,8\nc,4,8\nd,8,32\n")
    assert strip(widths_of(path)) == "8/8 4/8×2 8/32"
    assert widths_of(tmp_path / "none.csv") == []
