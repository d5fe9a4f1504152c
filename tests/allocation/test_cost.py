from dyadic.allocation.cost import LayerCost, size_mib


def test_size_is_what_packed_weights_take() -> None:
    layers = [LayerCost("a", 2**20, 0), LayerCost("b", 2**20, 0)]
    assert size_mib(layers, {"a": (8, 8), "b": (2, 8)}) == 1.25
