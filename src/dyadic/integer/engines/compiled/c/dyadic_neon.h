/* NEON with the dot products of ARMv8.2: 4 lanes, tiles of 16 channels; bytes are signed. */
#ifndef DYADIC_NEON_H
#define DYADIC_NEON_H

#include <arm_neon.h>

#define DY_TILES

enum { DY_LANES = 4, DY_TILE_BLOCKS = 1, DY_TILE_PIXELS = 6 };

typedef int32_t dy_vector __attribute__((vector_size(16)));

static inline dy_vector dy_set(int32_t x)
{
    return (dy_vector)vdupq_n_s32(x);
}

static inline dy_vector dy_dot8(dy_vector sums, dy_vector x, dy_vector weights)
{
    return (dy_vector)vdotq_s32((int32x4_t)sums, (int8x16_t)x, (int8x16_t)weights);
}

static inline dy_vector dy_dot16(dy_vector sums, dy_vector x, dy_vector weights)
{
    const int32x4_t low = vmull_s16(vget_low_s16((int16x8_t)x), vget_low_s16((int16x8_t)weights));
    const int32x4_t high = vmull_high_s16((int16x8_t)x, (int16x8_t)weights);
    return sums + (dy_vector)vpaddq_s32(low, high);
}

static inline dy_vector dy_min(dy_vector x, dy_vector y)
{
    return (dy_vector)vminq_s32((int32x4_t)x, (int32x4_t)y);
}

static inline dy_vector dy_max(dy_vector x, dy_vector y)
{
    return (dy_vector)vmaxq_s32((int32x4_t)x, (int32x4_t)y);
}

/* High words of x * b. */
static inline dy_vector dy_mul_high(dy_vector x, dy_vector b, dy_vector b_odd)
{
    const int64x2_t low = vmull_s32(vget_low_s32((int32x4_t)x), vget_low_s32((int32x4_t)b));
    const int64x2_t high = vmull_high_s32((int32x4_t)x, (int32x4_t)b);
    (void)b_odd;
    return (dy_vector)vuzp2q_s32((int32x4_t)low, (int32x4_t)high);
}

/* A vector's elements of a type, as int32. */
static inline dy_vector dy_widen(int32_t type, const uint8_t *from)
{
    uint32_t bytes;
    if (type == DY_S16)
        return (dy_vector)vmovl_s16(vreinterpret_s16_u8(vld1_u8(from)));
    if (type == DY_S32)
        return (dy_vector)vld1q_u8(from);
    memcpy(&bytes, from, sizeof bytes);
    if (type == DY_U8)
        return (dy_vector)vmovl_u16(vget_low_u16(vmovl_u8(vcreate_u8(bytes))));
    return (dy_vector)vmovl_s16(vget_low_s16(vmovl_s8(vcreate_s8(bytes))));
}

/* 16 channels, within the type's bounds, in the type. */
static inline void dy_narrow(int32_t type, const dy_vector x[4], uint8_t *to)
{
    const int16x8_t low = vcombine_s16(vmovn_s32((int32x4_t)x[0]), vmovn_s32((int32x4_t)x[1]));
    const int16x8_t high = vcombine_s16(vmovn_s32((int32x4_t)x[2]), vmovn_s32((int32x4_t)x[3]));
    int32_t i;
    if (type == DY_S16) {
        vst1q_u8(to, vreinterpretq_u8_s16(low));
        vst1q_u8(to + 16, vreinterpretq_u8_s16(high));
    } else if (type == DY_S32) {
        for (i = 0; i < 4; i++)
            vst1q_u8(to + 16 * i, (uint8x16_t)x[i]);
    } else {
        vst1q_u8(to, vcombine_u8(vreinterpret_u8_s8(vmovn_s16(low)),
                                 vreinterpret_u8_s8(vmovn_s16(high))));
    }
}

#endif
