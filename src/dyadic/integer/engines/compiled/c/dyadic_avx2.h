/* AVX2, with the dot products of AVX-VNNI where they are: 8 lanes, tiles of 16 channels. */
#ifndef DYADIC_AVX2_H
#define DYADIC_AVX2_H

#include <immintrin.h>

#define DY_TILES

enum { DY_LANES = 8, DY_TILE_BLOCKS = 1, DY_TILE_PIXELS = 6 };

typedef int32_t dy_vector __attribute__((vector_size(32)));

static inline dy_vector dy_set(int32_t x)
{
    return (dy_vector)_mm256_set1_epi32(x);
}

#ifdef __AVXVNNI__

static inline dy_vector dy_dot8(dy_vector sums, dy_vector x, dy_vector weights)
{
    return (dy_vector)_mm256_dpbusd_avx_epi32((__m256i)sums, (__m256i)x, (__m256i)weights);
}

static inline dy_vector dy_dot16(dy_vector sums, dy_vector x, dy_vector weights)
{
    return (dy_vector)_mm256_dpwssd_avx_epi32((__m256i)sums, (__m256i)x, (__m256i)weights);
}

#else

/* Two products are added in 16 bits and saturate: only for layers whose pairs are proved to fit. */
static inline dy_vector dy_dot8(dy_vector sums, dy_vector x, dy_vector weights)
{
    const __m256i pairs = _mm256_maddubs_epi16((__m256i)x, (__m256i)weights);
    return sums + (dy_vector)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}

static inline dy_vector dy_dot16(dy_vector sums, dy_vector x, dy_vector weights)
{
    return sums + (dy_vector)_mm256_madd_epi16((__m256i)x, (__m256i)weights);
}

#endif

static inline dy_vector dy_min(dy_vector x, dy_vector y)
{
    return (dy_vector)_mm256_min_epi32((__m256i)x, (__m256i)y);
}

static inline dy_vector dy_max(dy_vector x, dy_vector y)
{
    return (dy_vector)_mm256_max_epi32((__m256i)x, (__m256i)y);
}

/* High words of x * b; `b_odd` has the odd lanes' b one lane lower. */
static inline dy_vector dy_mul_high(dy_vector x, dy_vector b, dy_vector b_odd)
{
    const __m256i even = _mm256_mul_epi32((__m256i)x, (__m256i)b);
    const __m256i odd = _mm256_mul_epi32(_mm256_srli_epi64((__m256i)x, 32), (__m256i)b_odd);
    return (dy_vector)_mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa);
}

/* A vector's elements of a type, as int32. */
static inline dy_vector dy_widen(int32_t type, const uint8_t *from)
{
    if (type == DY_S16)
        return (dy_vector)_mm256_cvtepi16_epi32(_mm_loadu_si128((const void *)from));
    if (type == DY_U8)
        return (dy_vector)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)from));
    if (type == DY_S8)
        return (dy_vector)_mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)from));
    return (dy_vector)_mm256_loadu_si256((const void *)from);
}

/* 16 channels, within the type's bounds, in the type. */
static inline void dy_narrow(int32_t type, const dy_vector x[2], uint8_t *to)
{
    const __m256i packed = _mm256_packs_epi32((__m256i)x[0], (__m256i)x[1]);
    const __m256i shorts = _mm256_permute4x64_epi64(packed, 0xd8);
    const __m128i low = _mm256_castsi256_si128(shorts), high = _mm256_extracti128_si256(shorts, 1);
    if (type == DY_S16) {
        _mm256_storeu_si256((void *)to, shorts);
    } else if (type == DY_U8) {
        _mm_storeu_si128((void *)to, _mm_packus_epi16(low, high));
    } else if (type == DY_S8) {
        _mm_storeu_si128((void *)to, _mm_packs_epi16(low, high));
    } else {
        _mm256_storeu_si256((void *)to, (__m256i)x[0]);
        _mm256_storeu_si256((void *)(to + 32), (__m256i)x[1]);
    }
}

#endif
