/* @name@: weights, and the calls in order. Compile CMSIS-NN and this with
 * -DCMSIS_NN_USE_SINGLE_ROUNDING: its other rounding gives other numbers. */
#ifndef CMSIS_NN_USE_SINGLE_ROUNDING
#error "compile with -DCMSIS_NN_USE_SINGLE_ROUNDING, this file and CMSIS-NN"
#endif

#include "dyadic_cmsis.h"

#include "arm_nnfunctions.h"

/* Planar pixels to NHWC, through a table for each channel. */
static inline void pixels(const uint8_t *image, const int8_t *table, int32_t channels, int32_t size,
                          int8_t *out)
{
    int32_t channel, i;
    for (channel = 0; channel < channels; channel++, table += 256)
        for (i = 0; i < size; i++)
            out[i * channels + channel] = table[*image++];
}

/* A fully connected layer; where the buffer is used, it holds the sums of the weights. */
static inline int connect(const cmsis_nn_context *context, const cmsis_nn_fc_params *params,
                          const cmsis_nn_quant_params *scale, const cmsis_nn_dims *filter,
                          const int8_t *in, const int8_t *weights, const int32_t *bias, int8_t *out)
{
    const cmsis_nn_dims input = {1, 1, 1, filter->n}, output = {1, 1, 1, filter->c};
    if (arm_fully_connected_s8_get_buffer_size(filter) > 0
        && arm_vector_sum_s8(context->buf, filter->n, filter->c, weights, params->input_offset, 0,
                             bias) != 0)
        return 1;
    return arm_fully_connected_wrapper_s8(context, params, scale, &input, in, filter, weights,
                                          &output, bias, &output, out) != 0;
}

static inline int32_t larger(int32_t x, int32_t y)
{
    return x > y ? x : y;
}

@declared@
int32_t dyadic_buffer_size(void)
{
    int32_t size = 1;
@buffers@    return size;
}

int dyadic_classify(const uint8_t *image, int32_t *logits, void *memory, void *buffer)
{
    int8_t *const arena = memory;
    const cmsis_nn_context context = {buffer, dyadic_buffer_size()};
    int32_t channel, i, best = 0;
    int failed = 0;
@calls@
    if (failed)
        return -1;
    for (channel = 0; channel < @outputs@; channel++)
        for (i = 0; i < @positions@; i++)
            logits[channel * @positions@ + i] = (@logits@)[i * @outputs@ + channel] + @offset@;
    for (i = 1; i < DYADIC_CLASSES; i++)
        if (logits[i] > logits[best])
            best = i;
    return (int)best;
}

int dyadic_test(void *arena, void *buffer)
{
    static const int32_t expected[@tests@][DYADIC_CLASSES] = {
@expected@
    };
    static uint8_t image[DYADIC_PIXELS];
    int32_t logits[DYADIC_CLASSES], i;
    uint32_t state = 1;
    int test, wrong = 0;
    for (test = 0; test < @tests@; test++) {
        for (i = 0; i < DYADIC_PIXELS; i++) {
            state = state * 1664525u + 1013904223u;
            image[i] = (uint8_t)(state >> 24);
        }
        wrong += dyadic_classify(image, logits, arena, buffer) < 0;
        for (i = 0; i < DYADIC_CLASSES; i++)
            wrong += logits[i] != expected[test][i];
    }
    return wrong != 0;
}
