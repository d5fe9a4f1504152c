/* AVX-512 with VNNI: 16 lanes, tiles of up to 64 channels, masks for what is not a whole vector. */
#ifndef DYADIC_AVX512_H
#define DYADIC_AVX512_H

#include <immintrin.h>

#define DY_TILES
#define DY_TILES_ARE_WIDE 1

enum { DY_LANES = 16, DY_TILE_BLOCKS = 4, DY_TILE_PIXELS = 28 };

typedef int32_t dy_vector __attribute__((vector_size(64)));
typedef const __m512i_u *dy_memory_vector;

static inline dy_vector dy_set(int32_t x)
{
    return (dy_vector)_mm512_set1_epi32(x);
}

static inline dy_vector dy_dot8(dy_vector sums, dy_vector x, dy_vector weights)
{
    return (dy_vector)_mm512_dpbusd_epi32((__m512i)sums, (__m512i)x, (__m512i)weights);
}

static inline dy_vector dy_dot16(dy_vector sums, dy_vector x, dy_vector weights)
{
    return (dy_vector)_mm512_dpwssd_epi32((__m512i)sums, (__m512i)x, (__m512i)weights);
}

/* The same with weights that take no register. */
static inline dy_vector dy_dot8_from(dy_vector sums, dy_vector x, const uint8_t *weights)
{
    __asm__("vpdpbusd %2, %1, %0"
            : "+v"(sums)
            : "v"(x), "m"(*(dy_memory_vector)(const void *)weights));
    return sums;
}

static inline dy_vector dy_dot16_from(dy_vector sums, dy_vector x, const uint8_t *weights)
{
    __asm__("vpdpwssd %2, %1, %0"
            : "+v"(sums)
            : "v"(x), "m"(*(dy_memory_vector)(const void *)weights));
    return sums;
}

/* Bytes + 128, without a register for the constant. */
static inline dy_vector dy_flip(dy_vector x)
{
    static const int32_t top = -2139062144; /* 0x80808080 */
    dy_vector y;
    __asm__("vpxord %2%{1to16%}, %1, %0" : "=v"(y) : "v"(x), "m"(top));
    return y;
}

static inline dy_vector dy_min(dy_vector x, dy_vector y)
{
    return (dy_vector)_mm512_min_epi32((__m512i)x, (__m512i)y);
}

static inline dy_vector dy_max(dy_vector x, dy_vector y)
{
    return (dy_vector)_mm512_max_epi32((__m512i)x, (__m512i)y);
}

/* High words of x * b; `b_odd` has the odd lanes' b one lane lower. */
static inline dy_vector dy_mul_high(dy_vector x, dy_vector b, dy_vector b_odd)
{
    const __m512i even = _mm512_mul_epi32((__m512i)x, (__m512i)b);
    const __m512i odd = _mm512_mul_epi32(_mm512_srli_epi64((__m512i)x, 32), (__m512i)b_odd);
    return (dy_vector)_mm512_mask_shuffle_epi32(odd, 0x5555, even, _MM_PERM_DDBB);
}

/* A vector's elements of a type, as int32. */
static inline dy_vector dy_widen(int32_t type, const uint8_t *from)
{
    if (type == DY_S16)
        return (dy_vector)_mm512_cvtepi16_epi32(_mm256_loadu_si256((const void *)from));
    if (type == DY_U8)
        return (dy_vector)_mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)from));
    if (type == DY_S8)
        return (dy_vector)_mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)from));
    return (dy_vector)_mm512_loadu_si512(from);
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
static inline __m512i dy_pack16(dy_vector x, dy_vector y)
{
    const __m512i order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
    return _mm512_permutexvar_epi64(order, _mm512_packs_epi32((__m512i)x, (__m512i)y));
}

/* Four vectors of 16 in one of 64, saturated. */
static inline __m512i dy_pack8(int32_t type, const dy_vector x[4])
{
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i low = _mm512_packs_epi32((__m512i)x[0], (__m512i)x[1]);
    const __m512i high = _mm512_packs_epi32((__m512i)x[2], (__m512i)x[3]);
    const __m512i bytes =
        type == DY_U8 ? _mm512_packus_epi16(low, high) : _mm512_packs_epi16(low, high);
    return _mm512_permutexvar_epi32(order, bytes);
}

static inline __mmask16 dy_mask16(int32_t lanes)
{
    return (__mmask16)(lanes >= 16 ? 0xffff : lanes <= 0 ? 0 : (1 << lanes) - 1);
}

static inline __mmask32 dy_mask32(int32_t lanes)
{
    return lanes >= 32 ? 0xffffffff : lanes <= 0 ? 0 : ((__mmask32)1 << lanes) - 1;
}

static inline __mmask64 dy_mask64(int32_t lanes)
{
    return lanes >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << lanes) - 1;
}

/* Clamps and stores the target's channels, in `vectors`, and goes on to the next pixel; the type's
 * own bounds come with packing. */
static inline __attribute__((always_inline)) void
dy_put(dy_target *t, const int32_t type, const int32_t vectors, const dy_vector x[4])
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
        if (vectors > 2)
            _mm512_mask_storeu_epi16(at + 64, dy_mask32(t->lanes - 32),
                                     _mm512_min_epi16(_mm512_max_epi16(w, t->lo), t->hi));
    } else {
        int32_t b;
        _Pragma("GCC unroll 4") for (b = 0; b < vectors; b++)
            _mm512_mask_storeu_epi32(
                at + 64 * b, dy_mask16(t->lanes - 16 * b),
                _mm512_min_epi32(_mm512_max_epi32((__m512i)x[b], t->lo), t->hi));
    }
    t->at = at + t->step;
}

#endif
