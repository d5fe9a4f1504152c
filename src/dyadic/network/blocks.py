"""Units of a network: what stands for "a layer" where layers have no unique order.

A chain of layers has one order. Between a split and the addition or concatenation that closes it,
it has not; such layers form one block. Blocks are what lies between *cuts*: values that every path
from the image to the logits passes through. In a chain each layer is its own block, so the two ways
of counting agree there.
"""

from typing import Literal, get_args

from torch import fx, nn

from dyadic.network.layers import module_of

Unit = Literal["layer", "block"]
UNITS = get_args(Unit)


def cuts(graph: fx.Graph) -> set[fx.Node]:
    """The nodes that every path through the graph passes.

    The nodes are in topological order, so these are the ones that no edge jumps over.
    """
    position = {node: index for index, node in enumerate(graph.nodes)}
    furthest, found = 0, set()
    for node, index in position.items():
        if furthest <= index:
            found.add(node)
        furthest = max([furthest, *(position[user] for user in node.users)])
    return found


def units(network: fx.GraphModule, unit: Unit = "block") -> dict[fx.Node, int]:
    """For every node, the number of the unit that its value belongs to, from the image (0) on.

    A layer opens a new unit after a cut ("block") or always ("layer"), counted from 1; everything
    else belongs to the latest unit that it reads. The largest number is that of the top unit.
    """
    ends = cuts(network.graph)
    of: dict[fx.Node, int] = {}
    count, fresh = 0, True
    for node in network.graph.nodes:
        of[node] = max((of[source] for source in node.all_input_nodes), default=0)
        if isinstance(module_of(network, node), nn.Conv2d | nn.Linear):
            count += fresh or unit == "layer"
            of[node], fresh = count, False
        fresh = fresh or node in ends
    return of
