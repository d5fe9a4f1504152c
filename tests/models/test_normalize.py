import torch

from dyadic.models import NormalizePixels, normalized


class Statistics:
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.25, 0.125)


def test_pixels_are_scaled_shifted_and_divided_per_channel() -> None:
    images = torch.randint(256, (4, 3, 5, 5), dtype=torch.uint8)
    found = NormalizePixels(Statistics.mean, Statistics.std)(images)
    mean, std = (torch.tensor(v)[None, :, None, None] for v in (Statistics.mean, Statistics.std))
    torch.testing.assert_close(found, (images.double() / 255 - mean).div(std).float())
    assert torch.equal(found, NormalizePixels(Statistics.mean, Statistics.std)(images.float()))


def test_a_network_in_float64_normalizes_in_float64() -> None:
    module = NormalizePixels([0.5], [0.5]).double()
    assert module(torch.zeros(1, 1, 1, 1, dtype=torch.uint8)).dtype == torch.float64


def test_the_data_set_s_statistics_stand_in_front() -> None:
    network = normalized(torch.nn.Identity(), Statistics)
    assert network.normalize.std.flatten().tolist() == [0.5, 0.25, 0.125]
    assert set(network.state_dict()) == {"normalize.mean", "normalize.std"}
