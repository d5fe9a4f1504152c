/* The sizes and places of the structures that binding.py mirrors, in its order: it compares. */
#include "dyadic_engine.h"

#include <stddef.h>

#define SIZE(TYPE) (int64_t)sizeof(TYPE)
#define AT(TYPE, FIELD) (int64_t)offsetof(TYPE, FIELD)

const int64_t dy_layout[] = {
    SIZE(dy_tensor), AT(dy_tensor, data), AT(dy_tensor, type), AT(dy_tensor, channels),
    AT(dy_tensor, height), AT(dy_tensor, width), AT(dy_tensor, stride), AT(dy_tensor, pitch),

    SIZE(dy_scale), AT(dy_scale, b), AT(dy_scale, c), AT(dy_scale, per_channel), AT(dy_scale, lo),
    AT(dy_scale, hi),

    SIZE(dy_window), AT(dy_window, height), AT(dy_window, width), AT(dy_window, step_y),
    AT(dy_window, step_x), AT(dy_window, pad_y), AT(dy_window, pad_x), AT(dy_window, dilation_y),
    AT(dy_window, dilation_x),

    SIZE(dy_conv), AT(dy_conv, window), AT(dy_conv, groups), AT(dy_conv, group_in),
    AT(dy_conv, group_out), AT(dy_conv, form), AT(dy_conv, wide), AT(dy_conv, weights),
    AT(dy_conv, odd), AT(dy_conv, bias), AT(dy_conv, odd_b), AT(dy_conv, scale),

    SIZE(dy_lanes), AT(dy_lanes, b), AT(dy_lanes, c), AT(dy_lanes, up), AT(dy_lanes, round),
    AT(dy_lanes, high), AT(dy_lanes, lo), AT(dy_lanes, hi),

    SIZE(dy_output), AT(dy_output, slot), AT(dy_output, lanes),

    SIZE(dy_gemm), AT(dy_gemm, unit), AT(dy_gemm, in_place), AT(dy_gemm, flip), AT(dy_gemm, fold),
    AT(dy_gemm, limit), AT(dy_gemm, stretch_count), AT(dy_gemm, words), AT(dy_gemm, blocks),
    AT(dy_gemm, group_blocks), AT(dy_gemm, patch), AT(dy_gemm, shift), AT(dy_gemm, factor),
    AT(dy_gemm, group_bytes), AT(dy_gemm, row), AT(dy_gemm, stretches), AT(dy_gemm, weights), AT(dy_gemm, odd),
    AT(dy_gemm, bias), AT(dy_gemm, odd_bias), AT(dy_gemm, odd_b), AT(dy_gemm, patch_bias),
    AT(dy_gemm, lanes), AT(dy_gemm, add), AT(dy_gemm, lo), AT(dy_gemm, hi),
    AT(dy_gemm, output_count), AT(dy_gemm, outputs),

    SIZE(dy_slot), AT(dy_slot, view), AT(dy_slot, offset), AT(dy_slot, size), AT(dy_slot, origin),
    AT(dy_slot, border_y), AT(dy_slot, border_x), AT(dy_slot, root),

    SIZE(dy_step), AT(dy_step, kind), AT(dy_step, vector), AT(dy_step, source), AT(dy_step, other),
    AT(dy_step, target), AT(dy_step, lo), AT(dy_step, hi), AT(dy_step, count),
    AT(dy_step, times_y), AT(dy_step, times_x), AT(dy_step, thresholds), AT(dy_step, values),
    AT(dy_step, channels), AT(dy_step, rows), AT(dy_step, columns), AT(dy_step, bias),
    AT(dy_step, scale), AT(dy_step, window), AT(dy_step, conv),
    AT(dy_step, gemm),

    SIZE(dy_plan), AT(dy_plan, slot_count), AT(dy_plan, step_count), AT(dy_plan, slots),
    AT(dy_plan, steps), AT(dy_plan, pixels), AT(dy_plan, arena), AT(dy_plan, slack),
    AT(dy_plan, scratch),
};
