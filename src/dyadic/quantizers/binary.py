"""Binary weights: the sign, times the mean magnitude (BWN: Rastegari et al. 2016; HWGQ, Eq. 3).

    alpha = ||w||_1 / n,  B = sign(w), sign(0) = +1

the nearest point of R+ x {-1, +1}^n (BinaryRelax: Yin et al. 2018).
"""

from collections.abc import Callable
from typing import Unpack

import torch
from torch import Tensor

from dyadic.errors import check_choice
from dyadic.quantizers.codebook import Codebook, octave, positive
from dyadic.quantizers.quantizer import ScaleOptions, WeightQuantizer, check_bits


class Binary(WeightQuantizer):
    """Weights of {-alpha, +alpha}.

    bits         1
    scale        alpha: `mean_abs`, or `one` (BinaryConnect)
    granularity  per_channel (HWGQ), per_tensor (BinaryRelax), or per_group or per_block of
                 `group_size`

    >>> Binary()(torch.tensor([[1.0, -3.0], [0.0, 0.5]]))
    tensor([[ 2.0000, -2.0000],
            [ 0.2500,  0.2500]])
    """

    def __init__(
        self,
        bits: int = 1,
        signed: bool = True,
        *,
        scale: str = "mean_abs",
        granularity: str = "per_channel",
        **options: Unpack[ScaleOptions],
    ) -> None:
        check_bits("Binary", bits, 1, 1)
        check_choice("scale", scale, ("mean_abs", "one"))
        super().__init__(bits, signed, granularity=granularity, **options)
        self.scaled = scale == "mean_abs"

    def fitted(self, rows: Tensor, spread: Callable[[Tensor], Tensor]) -> Codebook:
        unit = octave(rows, dim=1)
        alpha = positive((rows / unit).abs().mean(dim=1))
        alpha = alpha * unit[:, 0] if self.scaled else torch.ones_like(alpha)
        return Codebook(spread(alpha), torch.tensor([-1, 1]), self.bits)
