"""Post-training bias correction: what quantized weights shift a layer's output by, on average.

(Nagel et al. 2019, section 4.2; Gholami et al., section III-G.)
"""

from torch import Tensor


def bias_correction(
    weight: Tensor, quantized: Tensor, mean_input: Tensor, groups: int = 1
) -> Tensor:
    """E[y] - E[y~] = sum over inputs and window of (W - W~) * E[x]: add it to the bias.

    Args: weight and quantized [O, I/groups, kh, kw] or [O, I]; mean_input [I], the mean of each
    input channel. Zero padding is not seen: the correction is that of the inner positions.

    Returns: [O].
    """
    lost = (weight - quantized).flatten(2).sum(dim=2) if weight.ndim > 2 else weight - quantized
    per_group = mean_input.reshape(groups, 1, -1)
    return (lost.reshape(groups, -1, lost.shape[1]) * per_group).sum(dim=2).flatten()
