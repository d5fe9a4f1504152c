"""Losses: cross-entropy, and distillation from the float network."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dyadic.errors import UserError


def cross_entropy(
    logits: Tensor, labels: Tensor, images: Tensor, label_smoothing: float = 0.0
) -> Tensor:
    """Cross-entropy of logits [N, classes] and labels [N]; the images are not looked at.

    label_smoothing  share of the target that all classes divide (Szegedy et al. 2016, section 7)
    """
    return F.cross_entropy(logits, labels, label_smoothing=label_smoothing)


class Distillation(nn.Module):
    """alpha T^2 KL(teacher || student) + (1 - alpha) CE (Hinton et al. 2015; HAWQ-V3, section 4).

    The divergence is the mean over the batch of the sum over classes ("batchmean"): averaged over
    classes too, as the reference implementation does, the soft term would all but vanish.
    The default temperature is 1: soft targets at T = 5 have been seen to hurt low-bit networks.
    """

    def __init__(self, teacher: nn.Module, alpha: float = 0.5, temperature: float = 1.0) -> None:
        super().__init__()
        if not 0 <= alpha <= 1 or temperature <= 0:
            raise UserError(
                f"distillation alpha={alpha}, temperature={temperature}; "
                "alpha is 0 to 1 and the temperature positive"
            )
        self.teacher = teacher.eval().requires_grad_(False)
        self.alpha, self.temperature = alpha, temperature

    def forward(self, logits: Tensor, labels: Tensor, images: Tensor) -> Tensor:
        with torch.no_grad():
            target = F.log_softmax(self.teacher(images) / self.temperature, dim=1)
        soft = F.log_softmax(logits / self.temperature, dim=1)
        divergence = F.kl_div(soft, target, reduction="batchmean", log_target=True)
        soft_loss = divergence * self.temperature**2
        return self.alpha * soft_loss + (1 - self.alpha) * F.cross_entropy(logits, labels)
