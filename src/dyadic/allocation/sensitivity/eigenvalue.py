"""The top eigenvalue of each layer's Hessian block (HAWQ, Dong et al. 2019): power iteration."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from dyadic.allocation.sensitivity.double_backward import hessian_vector_product
from dyadic.network.modes import differentiating


def top_eigenvalue(
    model: nn.Module,
    weight: Tensor,
    images: Tensor,
    labels: Tensor,
    tolerance: float = 1e-3,
    most: int = 100,
    seed: int = 0,
) -> float:
    """The eigenvalue of largest absolute value of d^2 loss / d weight^2, signed.

    v <- H v / ||H v||, from a seeded normal start, until v^T H v changes by at most `tolerance` of
    its absolute value, or `most` times. The loss is the mean cross-entropy, the model as evaluated.
    """
    generator = torch.Generator().manual_seed(seed)
    v = torch.randn(weight.shape, generator=generator).to(weight)
    eigenvalue = torch.inf
    with differentiating(model, [weight]):
        loss = functional.cross_entropy(model(images), labels)
        gradient = torch.autograd.grad(loss, [weight], create_graph=True)
        for _ in range(most):
            v = v / v.norm().clamp(min=torch.finfo(v.dtype).tiny)
            (product,) = hessian_vector_product(gradient, [weight], [v])
            earlier, eigenvalue = eigenvalue, float((v * product).sum())
            if abs(eigenvalue - earlier) <= tolerance * abs(eigenvalue):
                break
            v = product
    return eigenvalue
