"""Binary weights: the sign, times the mean magnitude (BWN: Rastegari et al. 2016; HWGQ, Eq. 3).

    alpha = ||w||_1 / n,  B = sign(w), sign(0) = +1

the nearest point of R+ x {-1, +1}^n (BinaryRelax: Yin et al. 2018).
"""

import torch
from torch import Tensor

from dyadic.errors import UserError
from dyadic.quantizers.codebook import Codebook, positive, widened
from dyadic.quantizers.granularity import granularity_of
from dyadic.quantizers.quantizer import Quantizer, check_bits, check_choice, unobserved
from dyadic.quantizers.straight_through import StraightThrough, identity


class Binary(Quantizer):
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
        group_size: int | None = None,
        ste: StraightThrough = identity,
    ) -> None:
        check_bits("Binary", bits, 1, 1)
        check_choice("scale", scale, ("mean_abs", "one"))
        if not signed:
            raise UserError("Binary with signed=False; binary weights are signed")
        super().__init__(bits, signed, ste)
        self.scaled = scale == "mean_abs"
        self.granularity = granularity_of(granularity, group_size)

    def codebook(self, x: Tensor | None = None) -> Codebook:
        if x is None:
            raise unobserved(self)
        alpha = self.granularity.rows(widened(x)).abs().mean(dim=1)
        alpha = positive(alpha) if self.scaled else torch.ones_like(alpha)
        scale = self.granularity.spread(alpha, x.shape)
        return Codebook(scale, torch.tensor([-1, 1]), self.bits)
