/* The rule on vectors of 16 channels (AVX-512), and how vectors are loaded and stored. */
#ifndef DYADIC_LANES_H
#define DYADIC_LANES_H

#include "dyadic_tiles.h"

#include <stddef.h>

#ifdef DY_TILES

/* Constants of 16 channels; the odd lanes' 64-bit products need theirs one lane lower. `half` is
 * what rounds, 2^(c - 1), counted in high words if `high`, and so is c. */
typedef struct {
    __m512i b, b_odd, half, half_odd, c, c_odd, up, lo, hi;
    int high;
} dy_constants;

/* Where lanes->high is known. */
static inline dy_constants dy_high_constants_of(const dy_lanes *lanes, int32_t channel)
{
    dy_constants k;
    k.b = _mm512_loadu_si512(lanes->b + channel);
    k.b_odd = _mm512_loadu_si512(lanes->b + channel + 1);
    k.half = _mm512_loadu_si512(lanes->round + channel);
    k.c = _mm512_loadu_si512(lanes->c + channel);
    k.up = lanes->up ? _mm512_loadu_si512(lanes->up + channel) : _mm512_setzero_si512();
    k.lo = _mm512_set1_epi32(lanes->lo);
    k.hi = _mm512_set1_epi32(lanes->hi);
    k.high = 1;
    return k;
}

static inline dy_constants dy_constants_of(const dy_lanes *lanes, int32_t channel)
{
    const __m512i one = _mm512_set1_epi64(1), low = _mm512_set1_epi64(0xff);
    const __m512i c = _mm512_loadu_si512(lanes->c + channel);
    dy_constants k;
    if (lanes->high)
        return dy_high_constants_of(lanes, channel);
    k.b = _mm512_loadu_si512(lanes->b + channel);
    k.b_odd = _mm512_srli_epi64(k.b, 32);
    k.c = _mm512_and_si512(c, low);
    k.c_odd = _mm512_srli_epi64(c, 32);
    k.half = _mm512_srli_epi64(_mm512_sllv_epi64(one, k.c), 1);
    k.half_odd = _mm512_srli_epi64(_mm512_sllv_epi64(one, k.c_odd), 1);
    k.lo = _mm512_set1_epi32(lanes->lo);
    k.hi = _mm512_set1_epi32(lanes->hi);
    k.high = 0;
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

/* Every c > 32: acc * b's high words, rounded and shifted by c - 32; not clamped yet. The low words
 * are below what is shifted out. `shifted` says whether lanes may have to be shifted up. */
static inline __m512i dy_scale_high(__m512i acc, const dy_constants *k, const int shifted)
{
    const __m512i x = shifted ? _mm512_sllv_epi32(acc, k->up) : acc;
    const __m512i even = _mm512_mul_epi32(x, k->b);
    const __m512i odd = _mm512_mul_epi32(dy_upper(x), k->b_odd);
    const __m512i high = _mm512_mask_shuffle_epi32(odd, 0x5555, even, _MM_PERM_DDBB);
    return _mm512_srav_epi32(_mm512_add_epi32(high, k->half), k->c);
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
        return dy_limit(dy_scale_high(acc, k, 1), k->lo, k->hi);
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
    return (__mmask16)(lanes >= 16 ? 0xffff : lanes <= 0 ? 0 : (1 << lanes) - 1);
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

/* Channels of as many as 64, from a whole vector on: what is behind the last one is not used. */
static inline __m512i dy_load_all(int32_t type, const uint8_t *from)
{
    if (type == DY_S16)
        return _mm512_cvtepi16_epi32(_mm256_loadu_si256((const __m256i_u *)(const void *)from));
    return dy_load_lanes(type, from, 0xffff);
}

/* Where up to 64 channels go, and between which bounds. */
typedef struct {
    uint8_t *at;
    int64_t step;                          /* bytes to the next pixel */
    int32_t type, lanes;
    __m512i lo, hi;                        /* in lanes of the type */
} dy_target;

static inline dy_target dy_target_of(int32_t type, int32_t lanes, int32_t lo, int32_t hi)
{
    dy_target t = {NULL, 0, type, lanes, {0}, {0}};
    if (type == DY_U8) {
        t.lo = _mm512_set1_epi8((char)(lo > 0 ? lo : 0));
        t.hi = _mm512_set1_epi8((char)(hi < UINT8_MAX ? hi : UINT8_MAX));
    } else if (type == DY_S8) {
        t.lo = _mm512_set1_epi8((char)(lo > INT8_MIN ? lo : INT8_MIN));
        t.hi = _mm512_set1_epi8((char)(hi < INT8_MAX ? hi : INT8_MAX));
    } else if (type == DY_S16) {
        t.lo = _mm512_set1_epi16((short)(lo > INT16_MIN ? lo : INT16_MIN));
        t.hi = _mm512_set1_epi16((short)(hi < INT16_MAX ? hi : INT16_MAX));
    } else {
        t.lo = _mm512_set1_epi32(lo);
        t.hi = _mm512_set1_epi32(hi);
    }
    return t;
}

/* Two vectors of 16 in one of 32, saturated. */
static inline __m512i dy_pack16(__m512i x, __m512i y)
{
    const __m512i order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
    return _mm512_permutexvar_epi64(order, _mm512_packs_epi32(x, y));
}

/* Four vectors of 16 in one of 64, saturated. */
static inline __m512i dy_pack8(int32_t type, const __m512i x[4])
{
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i low = _mm512_packs_epi32(x[0], x[1]), high = _mm512_packs_epi32(x[2], x[3]);
    const __m512i bytes =
        type == DY_U8 ? _mm512_packus_epi16(low, high) : _mm512_packs_epi16(low, high);
    return _mm512_permutexvar_epi32(order, bytes);
}

static inline __mmask32 dy_mask32(int32_t lanes)
{
    return lanes >= 32 ? 0xffffffff : lanes <= 0 ? 0 : ((__mmask32)1 << lanes) - 1;
}

static inline __mmask64 dy_mask64(int32_t lanes)
{
    return lanes >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << lanes) - 1;
}

/* Clamps and stores the target's channels, in `blocks` vectors, and goes on to the next pixel; the
 * type's own bounds come with packing. */
static inline __attribute__((always_inline)) void dy_put(dy_target *t, const int32_t type,
                                                         const int32_t blocks,
                                                         const __m512i x[4])
{
    uint8_t *at = t->at;
    if (type == DY_U8) {
        const __m512i v = dy_pack8(DY_U8, x);
        _mm512_mask_storeu_epi8(at, dy_mask64(t->lanes),
                                _mm512_min_epu8(_mm512_max_epu8(v, t->lo), t->hi));
    } else if (type == DY_S8) {
        const __m512i v = dy_pack8(DY_S8, x);
        _mm512_mask_storeu_epi8(at, dy_mask64(t->lanes),
                                _mm512_min_epi8(_mm512_max_epi8(v, t->lo), t->hi));
    } else if (type == DY_S16) {
        const __m512i v = dy_pack16(x[0], x[1]), w = dy_pack16(x[2], x[3]);
        _mm512_mask_storeu_epi16(at, dy_mask32(t->lanes),
                                 _mm512_min_epi16(_mm512_max_epi16(v, t->lo), t->hi));
        if (blocks > 2)
            _mm512_mask_storeu_epi16(at + 64, dy_mask32(t->lanes - 32),
                                     _mm512_min_epi16(_mm512_max_epi16(w, t->lo), t->hi));
    } else {
        int32_t b;
        _Pragma("GCC unroll 4") for (b = 0; b < blocks; b++)
            _mm512_mask_storeu_epi32(at + 64 * b, dy_mask(t->lanes - 16 * b),
                                     dy_limit(x[b], t->lo, t->hi));
    }
    t->at = at + t->step;
}

#endif
#endif
