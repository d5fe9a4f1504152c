/* The rule on vectors of 16 channels (AVX-512), and how vectors are loaded and stored. */
#ifndef DYADIC_LANES_H
#define DYADIC_LANES_H

#include "dyadic_tiles.h"

#include <stddef.h>

#ifdef DY_TILES

/* Constants of 16 channels; the odd lanes' 64-bit products need theirs one lane lower. */
typedef struct {
    __m512i b, b_odd, half, half_odd, c, c_odd, shift, up, lo, hi;
    int high, shifted;
} dy_constants;

static inline dy_constants dy_constants_of(const dy_lanes *lanes, int32_t channel)
{
    const __m512i one = _mm512_set1_epi64(1), low = _mm512_set1_epi64(0xff);
    const __m512i c = _mm512_loadu_si512(lanes->c + channel);
    dy_constants k;
    k.b = _mm512_loadu_si512(lanes->b + channel);
    k.b_odd = _mm512_srli_epi64(k.b, 32);
    k.c = _mm512_and_si512(c, low);
    k.c_odd = _mm512_srli_epi64(c, 32);
    k.half = _mm512_srli_epi64(_mm512_sllv_epi64(one, k.c), 1);
    k.half_odd = _mm512_srli_epi64(_mm512_sllv_epi64(one, k.c_odd), 1);
    k.shift = _mm512_sub_epi32(c, _mm512_set1_epi32(32));
    k.up = lanes->up ? _mm512_loadu_si512(lanes->up + channel) : _mm512_setzero_si512();
    k.lo = _mm512_set1_epi32(lanes->lo);
    k.hi = _mm512_set1_epi32(lanes->hi);
    k.high = lanes->high;
    k.shifted = lanes->up != NULL;
    return k;
}

static inline __m512i dy_limit(__m512i x, __m512i lo, __m512i hi)
{
    return _mm512_min_epi32(_mm512_max_epi32(x, lo), hi);
}

static inline __m512i dy_upper(__m512i x)
{
    return _mm512_srli_epi64(x, 32);
}

/* Every c >= 32: the high words of acc * b + 2^(c - 1), shifted by c - 32; not clamped yet. */
static inline __m512i dy_scale_high(__m512i acc, const dy_constants *k)
{
    const __m512i x = k->shifted ? _mm512_sllv_epi32(acc, k->up) : acc;
    const __m512i even = _mm512_add_epi64(_mm512_mul_epi32(x, k->b), k->half);
    const __m512i odd = _mm512_add_epi64(
        _mm512_mul_epi32(_mm512_shuffle_epi32(x, _MM_PERM_DDBB), k->b_odd), k->half_odd);
    const __m512i high = _mm512_mask_shuffle_epi32(odd, 0x5555, even, _MM_PERM_DDBB);
    return _mm512_srav_epi32(high, k->shift);
}

static inline __m512i dy_rescale_high(__m512i acc, const dy_constants *k)
{
    return dy_limit(dy_scale_high(acc, k), k->lo, k->hi);
}

/* Products of the even and the odd lanes, rounded, shifted and clamped, back to 16 lanes. */
static inline __m512i dy_join(__m512i even, __m512i odd, const dy_constants *k)
{
    const __m512i lo = _mm512_srai_epi64(_mm512_slli_epi64(k->lo, 32), 32);
    const __m512i hi = _mm512_srai_epi64(_mm512_slli_epi64(k->hi, 32), 32);
    even = _mm512_srav_epi64(_mm512_add_epi64(even, k->half), k->c);
    odd = _mm512_srav_epi64(_mm512_add_epi64(odd, k->half_odd), k->c_odd);
    even = _mm512_min_epi64(_mm512_max_epi64(even, lo), hi);
    odd = _mm512_min_epi64(_mm512_max_epi64(odd, lo), hi);
    return _mm512_mask_shuffle_epi32(even, 0xaaaa, odd, _MM_PERM_CCAA);
}

static inline __m512i dy_rescale(__m512i acc, const dy_constants *k)
{
    if (k->high)
        return dy_rescale_high(acc, k);
    return dy_join(_mm512_mul_epi32(acc, k->b), _mm512_mul_epi32(dy_upper(acc), k->b_odd), k);
}

/* acc * b + odd * odd_b */
static inline __m512i dy_rescale_pair(__m512i acc, __m512i odd, __m512i odd_b,
                                      const dy_constants *k)
{
    const __m512i low = _mm512_add_epi64(_mm512_mul_epi32(acc, k->b), _mm512_mul_epi32(odd, odd_b));
    const __m512i high =
        _mm512_add_epi64(_mm512_mul_epi32(dy_upper(acc), k->b_odd),
                         _mm512_mul_epi32(dy_upper(odd), dy_upper(odd_b)));
    return dy_join(low, high, k);
}

static inline __mmask16 dy_mask(int32_t lanes)
{
    return (__mmask16)(lanes >= 16 ? 0xffff : (1 << lanes) - 1);
}

static inline __m512i dy_load_lanes(int32_t type, const uint8_t *from, __mmask16 mask)
{
    if (type == DY_S16)
        return _mm512_cvtepi16_epi32(_mm256_maskz_loadu_epi16(mask, from));
    if (type == DY_U8)
        return _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(mask, from));
    if (type == DY_S8)
        return _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(mask, from));
    return _mm512_maskz_loadu_epi32(mask, from);
}

static inline void dy_store_lanes(int32_t type, uint8_t *to, __mmask16 mask, __m512i x)
{
    if (type <= DY_S8)
        _mm_mask_storeu_epi8(to, mask, _mm512_cvtepi32_epi8(x));
    else if (type == DY_S16)
        _mm256_mask_storeu_epi16(to, mask, _mm512_cvtepi32_epi16(x));
    else
        _mm512_mask_storeu_epi32(to, mask, x);
}

/* Whether storing with saturation is the upper clamp. */
static inline int dy_saturates(int32_t type, int32_t hi)
{
    return (type == DY_U8 && hi == UINT8_MAX) || (type == DY_S16 && hi == INT16_MAX);
}

/* Clamped from below and by saturation; at least 0 for DY_U8. */
static inline void dy_store_saturated(int32_t type, uint8_t *to, __mmask16 mask, __m512i x)
{
    if (type == DY_U8)
        _mm_mask_storeu_epi8(to, mask, _mm512_cvtusepi32_epi8(x));
    else
        _mm256_mask_storeu_epi16(to, mask, _mm512_cvtsepi32_epi16(x));
}

#endif
#endif
