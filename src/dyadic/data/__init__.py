"""Image sets: uint8 batches whose order and augmentation are a function of (seed, epoch) alone.

No loader normalizes: mean and std are properties of the set, and the network subtracts and divides
(`dyadic.models.normalize`), so that an integer program can start at the pixels.
"""

from dyadic.data.folders import ImageFolders
from dyadic.data.image_set import ImageSet
from dyadic.data.memory import InMemory
from dyadic.data.synthetic import Synthetic

__all__ = ["ImageFolders", "ImageSet", "InMemory", "Synthetic"]
