"""Which runs are alike: digests of the text of `config.yaml`, which needs no parsing."""

import hashlib
import re

NOT_THE_EXPERIMENT = r"seed|name|force|resume|logger|hydra|deploy|claim|\w*dir|\w*path"
"""Top-level keys of `config.yaml` that differ between the seeds of one experiment."""

FLOAT_NETWORK = r"^(?:dataset|model):\n(?:[ \-].*\n)*|^  baseline:\n(?:    .*\n)*"
"""The blocks of `config.yaml` that say which float network a run starts from, seeds aside."""


def configuration(config: str, name: str) -> str:
    r"""Eight hex digits that runs share when they differ in nothing but their seed.

    A digest of the text of `config.yaml` without the keys in `NOT_THE_EXPERIMENT` (and what is
    indented under them), without any `seed`, and without the run's own name.

    >>> first = "bits: 4\nseed: 0\nhydra:\n  run: x\n"
    >>> configuration(first, "run-0") == configuration("bits: 4\nseed: 1\n", "run-1")
    True
    """
    block = rf"^(?:{NOT_THE_EXPERIMENT}):.*\n(?:[ \-].*\n)*"
    text = re.sub(block, "", config.rstrip() + "\n", flags=re.MULTILINE)
    text = re.sub(r"^\s+\w*seed:.*\n", "", text, flags=re.MULTILINE)
    return hashlib.sha256(text.replace(name, "").encode()).hexdigest()[:8]


def float_digest(config: str, precision: str) -> str:
    r"""Eight hex digits for data, model, and how the float network was trained.

    >>> text = "dataset:\n  name: a\nbits: {}\ntrainer:\n  baseline:\n    epochs: {}\n"
    >>> first, second = float_digest(text.format(4, 5), ""), float_digest(text.format(3, 5), "")
    >>> first == second, first == float_digest(text.format(4, 6), "")
    (True, False)
    """
    blocks = re.findall(FLOAT_NETWORK, config.rstrip() + "\n", re.MULTILINE)
    return hashlib.sha256("".join([*blocks, precision]).encode()).hexdigest()[:8]
