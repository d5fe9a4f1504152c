#include "arm_nnfunctions.h"

#include <stdlib.h>

/* A buffer of the size that was asked for is used, so that too small a one is found. */
enum { BUFFER = 64 };

/* Single rounding, as documented: val * multiplier / 2^(31 - shift), shift in -31 .. 30; whatever
 * would not fit 32 bits is a fault of the caller. */
static int32_t requantize(int64_t value, int32_t multiplier, int32_t shift, int32_t offset,
                          const cmsis_nn_activation *clamp)
{
    const int64_t rounded = (value * multiplier + ((int64_t)1 << (30 - shift))) >> (31 - shift);
    if (shift < -31 || shift > 30 || value != (int32_t)value || rounded != (int32_t)rounded)
        abort();
    if (!clamp)
        return (int32_t)rounded;
    return rounded + offset < clamp->min   ? clamp->min
           : rounded + offset > clamp->max ? clamp->max
                                           : (int32_t)rounded + offset;
}

static void use(const cmsis_nn_context *context)
{
    int i;
    for (i = 0; i < BUFFER; i++)
        ((volatile char *)context->buf)[i] = 1;
}

/* The input that a tap sees, with its offset; 0 in the padding. */
static int32_t tap(const cmsis_nn_dims *dims, const int8_t *input, int32_t offset, int32_t y,
                   int32_t x, int32_t c)
{
    if (y < 0 || y >= dims->h || x < 0 || x >= dims->w)
        return 0;
    return input[(y * dims->w + x) * dims->c + c] + offset;
}

arm_cmsis_nn_status arm_convolve_wrapper_s8(
    const cmsis_nn_context *context, const cmsis_nn_conv_params *p,
    const cmsis_nn_per_channel_quant_params *quant, const cmsis_nn_dims *in, const int8_t *input,
    const cmsis_nn_dims *filter_dims, const int8_t *filter, const cmsis_nn_dims *bias_dims,
    const int32_t *bias, const cmsis_nn_dims *out, int8_t *output)
{
    const int32_t group_out = out->c * filter_dims->c / in->c;
    int32_t y, x, o, i, j, c;
    (void)bias_dims;
    use(context);
    for (y = 0; y < out->h; y++)
        for (x = 0; x < out->w; x++)
            for (o = 0; o < out->c; o++) {
                const int8_t *w = filter + o * filter_dims->h * filter_dims->w * filter_dims->c;
                const int32_t first = o / group_out * filter_dims->c;
                int64_t sum = bias[o];
                for (i = 0; i < filter_dims->h; i++)
                    for (j = 0; j < filter_dims->w; j++)
                        for (c = 0; c < filter_dims->c; c++)
                            sum += *w++
                                   * tap(in, input, p->input_offset,
                                         y * p->stride.h - p->padding.h + i * p->dilation.h,
                                         x * p->stride.w - p->padding.w + j * p->dilation.w,
                                         first + c);
                *output++ = (int8_t)requantize(sum, quant->multiplier[o], quant->shift[o],
                                               p->output_offset, &p->activation);
            }
    return ARM_CMSIS_NN_SUCCESS;
}

int32_t arm_convolve_wrapper_s8_get_buffer_size(const cmsis_nn_conv_params *params,
                                                const cmsis_nn_dims *input_dims,
                                                const cmsis_nn_dims *filter_dims,
                                                const cmsis_nn_dims *output_dims)
{
    return params && input_dims && filter_dims && output_dims ? BUFFER : 0;
}

/* Filters [1, h, w, c], channel o reads input channel o / ch_mult. */
arm_cmsis_nn_status arm_depthwise_conv_wrapper_s8(
    const cmsis_nn_context *context, const cmsis_nn_dw_conv_params *p,
    const cmsis_nn_per_channel_quant_params *quant, const cmsis_nn_dims *in, const int8_t *input,
    const cmsis_nn_dims *filter_dims, const int8_t *filter, const cmsis_nn_dims *bias_dims,
    const int32_t *bias, const cmsis_nn_dims *out, int8_t *output)
{
    int32_t y, x, o, i, j;
    (void)bias_dims;
    use(context);
    for (y = 0; y < out->h; y++)
        for (x = 0; x < out->w; x++)
            for (o = 0; o < out->c; o++) {
                int64_t sum = bias[o];
                for (i = 0; i < filter_dims->h; i++)
                    for (j = 0; j < filter_dims->w; j++)
                        sum += filter[(i * filter_dims->w + j) * filter_dims->c + o]
                               * tap(in, input, p->input_offset,
                                     y * p->stride.h - p->padding.h + i * p->dilation.h,
                                     x * p->stride.w - p->padding.w + j * p->dilation.w,
                                     o / p->ch_mult);
                *output++ = (int8_t)requantize(sum, quant->multiplier[o], quant->shift[o],
                                               p->output_offset, &p->activation);
            }
    return ARM_CMSIS_NN_SUCCESS;
}

int32_t arm_depthwise_conv_wrapper_s8_get_buffer_size(const cmsis_nn_dw_conv_params *params,
                                                      const cmsis_nn_dims *input_dims,
                                                      const cmsis_nn_dims *filter_dims,
                                                      const cmsis_nn_dims *output_dims)
{
    return params && input_dims && filter_dims && output_dims ? BUFFER : 0;
}

/* As on Helium: the buffer holds bias + input_offset * sum of weights. */
arm_cmsis_nn_status arm_fully_connected_wrapper_s8(
    const cmsis_nn_context *context, const cmsis_nn_fc_params *p,
    const cmsis_nn_quant_params *quant, const cmsis_nn_dims *input_dims, const int8_t *input,
    const cmsis_nn_dims *filter_dims, const int8_t *filter, const cmsis_nn_dims *bias_dims,
    const int32_t *bias, const cmsis_nn_dims *output_dims, int8_t *output)
{
    int32_t o, i;
    (void)input_dims;
    (void)bias_dims;
    (void)bias;
    for (o = 0; o < output_dims->c; o++) {
        const int32_t channel = quant->is_per_channel ? o : 0;
        int64_t sum = ((const int32_t *)context->buf)[o];
        for (i = 0; i < filter_dims->n; i++)
            sum += *filter++ * input[i];
        output[o] = (int8_t)requantize(sum, quant->multiplier[channel], quant->shift[channel],
                                       p->output_offset, &p->activation);
    }
    return ARM_CMSIS_NN_SUCCESS;
}

int32_t arm_fully_connected_s8_get_buffer_size(const cmsis_nn_dims *filter_dims)
{
    return filter_dims->c * (int32_t)sizeof(int32_t);
}

arm_cmsis_nn_status arm_vector_sum_s8(int32_t *sums, int32_t columns, int32_t rows,
                                      const int8_t *vectors, int32_t lhs_offset,
                                      int32_t rhs_offset, const int32_t *bias)
{
    int32_t row, column;
    for (row = 0; row < rows; row++) {
        sums[row] = bias[row];
        for (column = 0; column < columns; column++)
            sums[row] += lhs_offset * (*vectors++ + rhs_offset);
    }
    return ARM_CMSIS_NN_SUCCESS;
}

arm_cmsis_nn_status arm_max_pool_s8(const cmsis_nn_context *context,
                                    const cmsis_nn_pool_params *p, const cmsis_nn_dims *in,
                                    const int8_t *input, const cmsis_nn_dims *filter_dims,
                                    const cmsis_nn_dims *out, int8_t *output)
{
    int32_t y, x, c, i, j;
    (void)context;
    for (y = 0; y < out->h; y++)
        for (x = 0; x < out->w; x++)
            for (c = 0; c < out->c; c++) {
                const int32_t top = y * p->stride.h - p->padding.h;
                const int32_t left = x * p->stride.w - p->padding.w;
                int32_t best = p->activation.min;
                for (i = top; i < top + filter_dims->h; i++)
                    for (j = left; j < left + filter_dims->w; j++)
                        if (i >= 0 && i < in->h && j >= 0 && j < in->w
                            && input[(i * in->w + j) * in->c + c] > best)
                            best = input[(i * in->w + j) * in->c + c];
                *output++ = (int8_t)(best > p->activation.max ? p->activation.max : best);
            }
    return ARM_CMSIS_NN_SUCCESS;
}

arm_cmsis_nn_status arm_elementwise_add_s8(
    const int8_t *x, const int8_t *y, int32_t x_offset, int32_t x_multiplier, int32_t x_shift,
    int32_t y_offset, int32_t y_multiplier, int32_t y_shift, int32_t left_shift, int8_t *output,
    int32_t offset, int32_t multiplier, int32_t shift, int32_t min, int32_t max, int32_t count)
{
    const cmsis_nn_activation clamp = {min, max};
    int32_t i;
    for (i = 0; i < count; i++) {
        const int64_t one = (x[i] + x_offset) * ((int64_t)1 << left_shift);
        const int64_t two = (y[i] + y_offset) * ((int64_t)1 << left_shift);
        const int64_t sum = (int64_t)requantize(one, x_multiplier, x_shift, 0, NULL)
                            + requantize(two, y_multiplier, y_shift, 0, NULL);
        output[i] = (int8_t)requantize(sum, multiplier, shift, offset, &clamp);
    }
    return ARM_CMSIS_NN_SUCCESS;
}

arm_cmsis_nn_status arm_elementwise_mul_s8(const int8_t *x, const int8_t *y, int32_t x_offset,
                                           int32_t y_offset, int8_t *output, int32_t offset,
                                           int32_t multiplier, int32_t shift, int32_t min,
                                           int32_t max, int32_t count)
{
    const cmsis_nn_activation clamp = {min, max};
    int32_t i;
    for (i = 0; i < count; i++)
        output[i] = (int8_t)requantize((int64_t)(x[i] + x_offset) * (y[i] + y_offset), multiplier,
                                       shift, offset, &clamp);
    return ARM_CMSIS_NN_SUCCESS;
}

arm_cmsis_nn_status arm_pad_s8(const int8_t *input, int8_t *output, int8_t value,
                               const cmsis_nn_dims *input_dims, const cmsis_nn_dims *before,
                               const cmsis_nn_dims *after)
{
    const int32_t rows = before->h + input_dims->h + after->h;
    const int32_t columns = before->w + input_dims->w + after->w;
    int32_t y, x, c;
    for (y = -before->h; y < rows - before->h; y++)
        for (x = -before->w; x < columns - before->w; x++)
            for (c = 0; c < input_dims->c; c++) {
                const int inside = y >= 0 && y < input_dims->h && x >= 0 && x < input_dims->w;
                *output++ = inside ? input[(y * input_dims->w + x) * input_dims->c + c] : value;
            }
    return ARM_CMSIS_NN_SUCCESS;
}

void arm_concatenation_s8_x(const int8_t *input, uint16_t x, uint16_t y, uint16_t z, uint16_t w,
                            int8_t *output, uint16_t output_x, uint32_t offset)
{
    const int32_t count = y * z * w;
    int32_t i, j;
    for (i = 0; i < count; i++)
        for (j = 0; j < x; j++)
            output[i * output_x + (int32_t)offset + j] = input[i * x + j];
}
