/* Dot products of bytes on the instructions that the compiler was told of. All of them are exact:
 * sums are 32 bits and wrap, and the bound on the accumulator says that they come back.
 *
 * dy_dot(acc, x, depth, w, is_signed): acc[p] += sum over k of x[p * depth + k] * w[k], p = 0 .. 3,
 * the bytes of x signed or not. Without such instructions there is no DY_DOT.
 */
#ifndef DYADIC_DOT_H
#define DYADIC_DOT_H

#include <stdint.h>

#if defined(__AVX512VNNI__) && defined(__AVX512BW__)
#include <immintrin.h>
#define DY_DOT "AVX-512 VNNI"

/* Signed x: x + 128 is unsigned, and 128 * sum of w is too much. */
static void dy_dot(int32_t *acc, const uint8_t *x, int32_t depth, const int8_t *w, int is_signed)
{
    const __m512i flip = is_signed ? _mm512_set1_epi8((char)-128) : _mm512_setzero_si512();
    __m512i sum[4], more = _mm512_setzero_si512(), low, high;
    __m256i half;
    int32_t k, p;
    for (p = 0; p < 4; p++)
        sum[p] = more;
    for (k = 0; k < depth; k += 64) {
        const __mmask64 mask = depth - k < 64 ? ~(__mmask64)0 >> (64 - (depth - k)) : ~(__mmask64)0;
        const __m512i weights = _mm512_maskz_loadu_epi8(mask, w + k);
        for (p = 0; p < 4; p++) {
            const uint8_t *row = x + (int64_t)p * depth + k;
            const __m512i bytes = _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, row), flip);
            sum[p] = _mm512_dpbusd_epi32(sum[p], bytes, weights);
        }
        more = _mm512_dpbusd_epi32(more, flip, weights);
    }
    for (p = 0; p < 4; p++)
        sum[p] = _mm512_sub_epi32(sum[p], more);
    low = _mm512_add_epi32(_mm512_unpacklo_epi32(sum[0], sum[1]),
                           _mm512_unpackhi_epi32(sum[0], sum[1]));
    high = _mm512_add_epi32(_mm512_unpacklo_epi32(sum[2], sum[3]),
                            _mm512_unpackhi_epi32(sum[2], sum[3]));
    low = _mm512_add_epi32(_mm512_unpacklo_epi64(low, high), _mm512_unpackhi_epi64(low, high));
    half = _mm256_add_epi32(_mm512_castsi512_si256(low), _mm512_extracti64x4_epi64(low, 1));
    _mm_storeu_si128((__m128i *)(void *)acc,
                     _mm_add_epi32(_mm_loadu_si128((const __m128i *)(const void *)acc),
                                   _mm_add_epi32(_mm256_castsi256_si128(half),
                                                 _mm256_extracti128_si256(half, 1))));
}

#elif defined(__AVX2__)
#include <immintrin.h>
#define DY_DOT "AVX2"

static __m256i dy_widen(const void *bytes, int is_signed)
{
    const __m128i x = _mm_loadu_si128((const __m128i *)bytes);
    return is_signed ? _mm256_cvtepi8_epi16(x) : _mm256_cvtepu8_epi16(x);
}

static void dy_dot(int32_t *acc, const uint8_t *x, int32_t depth, const int8_t *w, int is_signed)
{
    __m256i sum[4], low, high;
    int32_t k, p;
    for (p = 0; p < 4; p++)
        sum[p] = _mm256_setzero_si256();
    for (k = 0; k + 16 <= depth; k += 16) {
        const __m256i weights = dy_widen(w + k, 1);
        for (p = 0; p < 4; p++) {
            const __m256i row = dy_widen(x + (int64_t)p * depth + k, is_signed);
            sum[p] = _mm256_add_epi32(sum[p], _mm256_madd_epi16(row, weights));
        }
    }
    low = _mm256_hadd_epi32(sum[0], sum[1]);
    high = _mm256_hadd_epi32(sum[2], sum[3]);
    low = _mm256_hadd_epi32(low, high);
    _mm_storeu_si128((__m128i *)(void *)acc,
                     _mm_add_epi32(_mm_loadu_si128((const __m128i *)(const void *)acc),
                                   _mm_add_epi32(_mm256_castsi256_si128(low),
                                                 _mm256_extracti128_si256(low, 1))));
    for (p = 0; p < 4; p++, x += depth) {
        uint32_t rest = 0;
        int32_t i;
        for (i = k; i < depth; i++)
            rest += (uint32_t)((is_signed ? (int8_t)x[i] : x[i]) * w[i]);
        acc[p] = (int32_t)((uint32_t)acc[p] + rest);
    }
}

#elif defined(__ARM_FEATURE_DOTPROD)
#include <arm_neon.h>
#define DY_DOT "NEON dot product"

/* Unsigned x: x - 128 is signed, and 128 * sum of w is missing. */
static void dy_dot(int32_t *acc, const uint8_t *x, int32_t depth, const int8_t *w, int is_signed)
{
    const uint8x16_t flip = vdupq_n_u8(is_signed ? 0 : 128);
    const int8x16_t less = vreinterpretq_s8_u8(flip);
    int32x4_t sum[4], more = vdupq_n_s32(0);
    int32_t k, p;
    for (p = 0; p < 4; p++)
        sum[p] = more;
    for (k = 0; k + 16 <= depth; k += 16) {
        const int8x16_t weights = vld1q_s8(w + k);
        for (p = 0; p < 4; p++) {
            const uint8x16_t row = veorq_u8(vld1q_u8(x + (int64_t)p * depth + k), flip);
            sum[p] = vdotq_s32(sum[p], vreinterpretq_s8_u8(row), weights);
        }
        more = vdotq_s32(more, less, weights);
    }
    for (p = 0; p < 4; p++, x += depth) {
        uint32_t rest = (uint32_t)vaddvq_s32(vsubq_s32(sum[p], more));
        int32_t i;
        for (i = k; i < depth; i++)
            rest += (uint32_t)((is_signed ? (int8_t)x[i] : x[i]) * w[i]);
        acc[p] = (int32_t)((uint32_t)acc[p] + rest);
    }
}
#endif

#endif
