/* Tiles of sums in AVX-512 registers, by dot products of bytes or of 16-bit integers. */
#include "dyadic_tiles.h"

#ifdef DY_TILES

#include <string.h>

typedef void tile_function(const dy_tile *t, const uint8_t *weights, const int32_t *bias,
                           int32_t *to);
typedef const __m512i_u *vector;

static inline __m512i dot8(__m512i sums, __m512i x, __m512i weights)
{
    return _mm512_dpbusd_epi32(sums, x, weights);
}

static inline __m512i dot16(__m512i sums, __m512i x, __m512i weights)
{
    return _mm512_dpwssd_epi32(sums, x, weights);
}

/* The same with weights that take no register. */
static inline __m512i dot8_memory(__m512i sums, __m512i x, const uint8_t *weights)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(x), "m"(*(vector)(const void *)weights));
    return sums;
}

static inline __m512i dot16_memory(__m512i sums, __m512i x, const uint8_t *weights)
{
    __asm__("vpdpwssd %2, %1, %0" : "+v"(sums) : "v"(x), "m"(*(vector)(const void *)weights));
    return sums;
}

static inline __m512i as_it_is(__m512i x)
{
    return x;
}

/* Bytes + 128, without a register for the constant. */
static inline __m512i flipped(__m512i x)
{
    static const int32_t top = -2139062144; /* 0x80808080 */
    __m512i y;
    __asm__("vpxord %2%{1to16%}, %1, %0" : "=v"(y) : "v"(x), "m"(top));
    return y;
}

static inline __m512i word(const uint8_t *from)
{
    int32_t value;
    memcpy(&value, from, sizeof value);
    return _mm512_set1_epi32(value);
}

/* PIXELS x BLOCKS vectors of sums stay in registers, and with them a word's weights; the last
 * block's are read for every pixel where there is no room. */
#define DEFINE_TILE(NAME, DOT, CHANGE, BLOCKS, PIXELS)                                           \
    static void NAME##_##BLOCKS##_##PIXELS(const dy_tile *t, const uint8_t *weights,             \
                                           const int32_t *bias, int32_t *to)                     \
    {                                                                                            \
        enum { KEPT = PIXELS * BLOCKS + BLOCKS < 32 ? BLOCKS : BLOCKS - 1 };                     \
        __m512i sums[PIXELS][BLOCKS], w[BLOCKS];                                                 \
        const int64_t plane = (int64_t)t->depth * DY_WORD_BYTES;                                 \
        int32_t s, k, p, b;                                                                      \
        _Pragma("GCC unroll 32") for (p = 0; p < PIXELS; p++)                                    \
            _Pragma("GCC unroll 4") for (b = 0; b < BLOCKS; b++)                                 \
                sums[p][b] = _mm512_loadu_si512(bias + 16 * b);                                  \
        for (s = 0; s < t->stretch_count; s++) {                                                 \
            const uint8_t *x = t->rows + t->stretches[s].offset;                                 \
            for (k = 0; k < t->stretches[s].words; k++, x += 4, weights += DY_WORD_BYTES) {      \
                _Pragma("GCC unroll 4") for (b = 0; b < KEPT; b++)                               \
                    w[b] = _mm512_loadu_si512(weights + b * plane);                              \
                _Pragma("GCC unroll 32") for (p = 0; p < PIXELS; p++)                            \
                {                                                                                \
                    const __m512i v = CHANGE(word(x + p * t->step));                             \
                    _Pragma("GCC unroll 4") for (b = 0; b < KEPT; b++)                           \
                        sums[p][b] = DOT(sums[p][b], v, w[b]);                                   \
                    if (KEPT < BLOCKS)                                                           \
                        sums[p][KEPT] = DOT##_memory(sums[p][KEPT], v, weights + KEPT * plane);  \
                }                                                                                \
            }                                                                                    \
        }                                                                                        \
        _Pragma("GCC unroll 32") for (p = 0; p < PIXELS; p++)                                    \
            _Pragma("GCC unroll 4") for (b = 0; b < BLOCKS; b++)                                 \
                _mm512_store_si512(to + p * DY_TILE_CHANNELS + 16 * b, sums[p][b]);              \
    }

#define DEFINE_SIZES(NAME, DOT, CHANGE, BLOCKS, P1, P2, P3, P4, P5, P6, P7)                      \
    DEFINE_TILE(NAME, DOT, CHANGE, BLOCKS, P1)                                                   \
    DEFINE_TILE(NAME, DOT, CHANGE, BLOCKS, P2)                                                   \
    DEFINE_TILE(NAME, DOT, CHANGE, BLOCKS, P3)                                                   \
    DEFINE_TILE(NAME, DOT, CHANGE, BLOCKS, P4)                                                   \
    DEFINE_TILE(NAME, DOT, CHANGE, BLOCKS, P5)                                                   \
    DEFINE_TILE(NAME, DOT, CHANGE, BLOCKS, P6)                                                   \
    DEFINE_TILE(NAME, DOT, CHANGE, BLOCKS, P7)

/* Seven sizes for each number of blocks: 1 to 7 times 1 << log_each pixels. */
#define DEFINE_TILES(NAME, DOT, CHANGE)                                                          \
    DEFINE_SIZES(NAME, DOT, CHANGE, 1, 4, 8, 12, 16, 20, 24, 28)                                 \
    DEFINE_SIZES(NAME, DOT, CHANGE, 2, 2, 4, 6, 8, 10, 12, 14)                                   \
    DEFINE_SIZES(NAME, DOT, CHANGE, 3, 1, 2, 3, 4, 5, 6, 7)                                      \
    DEFINE_SIZES(NAME, DOT, CHANGE, 4, 1, 2, 3, 4, 5, 6, 7)                                      \
    static tile_function *const NAME[4][SIZES] = {                                               \
        {NAME##_1_4, NAME##_1_8, NAME##_1_12, NAME##_1_16, NAME##_1_20, NAME##_1_24,             \
         NAME##_1_28},                                                                           \
        {NAME##_2_2, NAME##_2_4, NAME##_2_6, NAME##_2_8, NAME##_2_10, NAME##_2_12, NAME##_2_14}, \
        {NAME##_3_1, NAME##_3_2, NAME##_3_3, NAME##_3_4, NAME##_3_5, NAME##_3_6, NAME##_3_7},    \
        {NAME##_4_1, NAME##_4_2, NAME##_4_3, NAME##_4_4, NAME##_4_5, NAME##_4_6, NAME##_4_7}}

enum { SIZES = 7 };
static const int32_t log_each[] = {2, 1, 0, 0};

DEFINE_TILES(vnni8, dot8, as_it_is);
DEFINE_TILES(vnni8_flipped, dot8, flipped);
DEFINE_TILES(vnni16, dot16, as_it_is);

int32_t dy_vnni_pixels(int32_t blocks)
{
    return SIZES << log_each[blocks - 1];
}

void dy_vnni_sums(const dy_tile *t, const uint8_t *weights, const int32_t *bias, int32_t *sums)
{
    const int32_t blocks = t->blocks - 1, size = (t->pixels - 1) >> log_each[blocks];
    if (t->unit == DY_VNNI16)
        vnni16[blocks][size](t, weights, bias, sums);
    else if (t->flip)
        vnni8_flipped[blocks][size](t, weights, bias, sums);
    else
        vnni8[blocks][size](t, weights, bias, sums);
}

#endif
