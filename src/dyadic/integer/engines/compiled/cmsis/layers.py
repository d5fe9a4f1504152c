"""Layers as calls: convolutions, depthwise ones, fully connected ones."""

from math import prod

import numpy as np

from dyadic.integer.engines.compiled.cmsis.tensors import CmsisCall, Tensors
from dyadic.integer.engines.compiled.text import declare
from dyadic.integer.program.operations import Conv, Linear, Operation, Requantize, SumPool
from dyadic.integer.program.requirements import require


class Layers(Tensors):
    """Calls that multiply by weights."""

    def _convolve(self, operation: Conv) -> None:
        """Plain, grouped or depthwise."""
        outputs, per_group, *kernel = operation.weights.codes.shape
        weights = self._weights(operation)
        if per_group == 1 and operation.groups > 1:
            filters = weights.transpose(1, 2, 3, 0)
            self._depthwise(operation, operation.inputs[0], operation, filters, operation.bias)
            return
        call, source = self._layer(operation)
        here = self.named[operation.name]
        filters = declare(
            f"dyadic_weights_{here}", weights.transpose(0, 2, 3, 1).astype(np.int8), call.declared
        )
        params = self._params(call, "conv", operation, source, operation, "")
        dims = self._dims(outputs, kernel[0], kernel[1], per_group)
        self._finish(call, "convolve", params, dims, filters, operation.bias, operation)

    def _depthwise(
        self, layer: Requantize | Conv, source: str, window: Conv | SumPool, filters: np.ndarray,
        bias: np.ndarray,
    ) -> None:  # fmt: skip
        """One filter for each output channel, [1, rows, columns, channels]."""
        source = self._tensor(layer, source)
        call = CmsisCall(layer.name, "", (source,))
        here = self.named[layer.name]
        codes = declare(f"dyadic_weights_{here}", filters.astype(np.int8), call.declared)
        multiple = filters.shape[-1] // self.grids[source][0]
        params = self._params(call, "dw_conv", layer, source, window, f"{multiple}, ")
        self._grid(layer, filters.shape[-1], window.name)
        self._finish(call, "depthwise_conv", params, self._dims(*filters.shape), codes, bias, layer)

    def _grid(self, layer: Operation, channels: int, window: str) -> None:
        _, rows, columns = self.proof.shapes[window]
        self.grids[layer.name] = (channels, rows, columns)

    def _weights(self, operation: Linear) -> np.ndarray:
        require(operation.odd is None, operation, "CMSIS-NN has no planes of sqrt(2)")
        (weights,) = operation.weights.planes
        lo, hi = int(weights.min()), int(weights.max())
        inside = lo >= -128 and hi <= 127
        require(inside, operation, f"CMSIS-NN: weights {lo} to {hi}; s8 holds -128 to 127")
        bits = self.proof.accumulators[operation.name].bits
        require(bits <= 32, operation, f"CMSIS-NN: an accumulator of {bits} bits; it has 32")
        return weights

    def _layer(self, operation: Linear) -> tuple[CmsisCall, str]:
        source = self._tensor(operation, operation.inputs[0])
        shape = self.proof.shapes[operation.name]
        self.grids[operation.name] = shape if len(shape) == 3 else (shape[0], 1, 1)
        return CmsisCall(operation.name, "", (source,)), source

    def _params(
        self, call: CmsisCall, kind: str, layer: Linear | Requantize, source: str,
        window: Conv | SumPool, multiple: str,
    ) -> str:  # fmt: skip
        """A static structure of offsets, window and clamp."""
        name = f"dyadic_params_{self.named[layer.name]}"
        pairs = [window.stride, window.padding]
        pairs.append(window.dilation if isinstance(window, Conv) else (1, 1))
        geometry = ", ".join(f"{{{x}, {y}}}" for y, x in pairs)
        offsets = f"{self._offset(source)}, {-self._offset(layer.name)}"
        clamp = self._clamp(layer.name, layer.lo, layer.hi)
        call.declared.append(
            f"static const cmsis_nn_{kind}_params {name} =\n"
            f"    {{{offsets}, {multiple}{geometry}, {clamp}}};\n"
        )
        return f"&{name}"

    def _finish(
        self, call: CmsisCall, function: str, params: str, dims: str, filters: str,
        bias: np.ndarray, layer: Linear | Requantize,
    ) -> None:  # fmt: skip
        """The call itself, with its scale, bias and the size of its buffer."""
        (source,) = call.reads
        channels = self.grids[layer.name][0]
        bound = self.proof.accumulators.get(layer.name)
        largest = self._largest(layer.inputs[0]) if bound is None else bound.largest
        b, shift = self._quantization(call, layer, layer.scale, largest, channels)
        bias_name = f"dyadic_bias_{self.named[layer.name]}"
        declare(bias_name, bias.astype(np.int32), call.declared)
        image, output = self._image(source), self._image(layer.name)
        function = f"arm_{function}_wrapper_s8"
        call.text = (
            f"failed |= {function}(&context, {params}, &(const cmsis_nn_per_channel_quant_params)"
            f"{{(int32_t *){b}, (int32_t *){shift}}},\n"
            f"        {image}, {self._at(source)}, {dims}, {filters},\n"
            f"        {self._dims(1, 1, 1, channels)}, {bias_name}, {output}, "
            f"{self._at(layer.name)}) != 0;"
        )
        call.buffer = f"{function}_get_buffer_size({params}, {image}, {dims}, {output})"
        self.calls.append(call)

    def _connect(self, operation: Linear) -> None:
        """Every output of every input."""
        weights = self._weights(operation)
        call, source = self._layer(operation)
        grid, here = self.grids[source], self.named[operation.name]
        ordered = weights.reshape(len(weights), *grid).transpose(0, 2, 3, 1)
        filters = declare(f"dyadic_weights_{here}", ordered.astype(np.int8), call.declared)
        bias = declare(f"dyadic_bias_{here}", operation.bias.astype(np.int32), call.declared)
        largest = self.proof.accumulators[operation.name].largest
        channels = len(weights)
        b, shift = self._quantization(call, operation, operation.scale, largest, channels)
        clamp = self._clamp(operation.name, operation.lo, operation.hi)
        offsets = f"{self._offset(source)}, 0, {-self._offset(operation.name)}"
        dims = self._dims(prod(grid), 1, 1, channels)
        call.text = (
            f"failed |= connect(&context, &(const cmsis_nn_fc_params){{{offsets}, {clamp}}},\n"
            f"        &(const cmsis_nn_quant_params){{(int32_t *){b}, (int32_t *){shift}, 1}},\n"
            f"        {dims}, {self._at(source)}, {filters}, {bias}, {self._at(operation.name)});"
        )
        call.buffer = f"arm_fully_connected_s8_get_buffer_size({dims})"
        self.calls.append(call)
