/* Tiles of sums in AVX-512 registers, by dot products of bytes or of 16-bit integers. */
#include "dyadic_tiles.h"

#ifdef DY_TILES

#include <stddef.h>
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
        int32_t s, p, b;                                                                         \
        _Pragma("GCC unroll 32") for (p = 0; p < PIXELS; p++)                                    \
            _Pragma("GCC unroll 4") for (b = 0; b < BLOCKS; b++)                                 \
                sums[p][b] = _mm512_loadu_si512(bias + 16 * b);                                  \
        for (s = 0; s < t->stretch_count; s++) {                                                 \
            const uint8_t *x = t->rows + t->stretches[s].offset;                                 \
            const uint8_t *const end = x + 4 * t->stretches[s].words;                            \
            for (; x < end; x += 4, weights += DY_WORD_BYTES) {                                  \
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

/* Sizes for each number of blocks; any number of pixels is a sum of a few. */
#define DEFINE_TILES(NAME, DOT, CHANGE)                                                          \
    DEFINE_TILE(NAME, DOT, CHANGE, 1, 1)                                                         \
    DEFINE_TILE(NAME, DOT, CHANGE, 1, 2)                                                         \
    DEFINE_TILE(NAME, DOT, CHANGE, 1, 4)                                                         \
    DEFINE_TILE(NAME, DOT, CHANGE, 1, 8)                                                         \
    DEFINE_TILE(NAME, DOT, CHANGE, 1, 12)                                                        \
    DEFINE_TILE(NAME, DOT, CHANGE, 1, 16)                                                        \
    DEFINE_TILE(NAME, DOT, CHANGE, 1, 20)                                                        \
    DEFINE_TILE(NAME, DOT, CHANGE, 1, 24)                                                        \
    DEFINE_TILE(NAME, DOT, CHANGE, 1, 28)                                                        \
    DEFINE_TILE(NAME, DOT, CHANGE, 2, 1)                                                         \
    DEFINE_TILE(NAME, DOT, CHANGE, 2, 2)                                                         \
    DEFINE_TILE(NAME, DOT, CHANGE, 2, 4)                                                         \
    DEFINE_TILE(NAME, DOT, CHANGE, 2, 6)                                                         \
    DEFINE_TILE(NAME, DOT, CHANGE, 2, 8)                                                         \
    DEFINE_TILE(NAME, DOT, CHANGE, 2, 10)                                                        \
    DEFINE_TILE(NAME, DOT, CHANGE, 2, 12)                                                        \
    DEFINE_TILE(NAME, DOT, CHANGE, 2, 14)                                                        \
    DEFINE_SIZES(NAME, DOT, CHANGE, 3)                                                           \
    DEFINE_SIZES(NAME, DOT, CHANGE, 4)                                                           \
    static tile_function *const NAME[4][DY_TILE_PIXELS + 1] = {                                  \
        {NULL, NAME##_1_1, NAME##_1_2, [4] = NAME##_1_4, [8] = NAME##_1_8, [12] = NAME##_1_12,   \
         [16] = NAME##_1_16, [20] = NAME##_1_20, [24] = NAME##_1_24, [28] = NAME##_1_28},        \
        {NULL, NAME##_2_1, NAME##_2_2, [4] = NAME##_2_4, [6] = NAME##_2_6, [8] = NAME##_2_8,     \
         [10] = NAME##_2_10, [12] = NAME##_2_12, [14] = NAME##_2_14},                            \
        {NULL, NAME##_3_1, NAME##_3_2, NAME##_3_3, NAME##_3_4, NAME##_3_5, NAME##_3_6,           \
         NAME##_3_7},                                                                            \
        {NULL, NAME##_4_1, NAME##_4_2, NAME##_4_3, NAME##_4_4, NAME##_4_5, NAME##_4_6,           \
         NAME##_4_7}}

#define DEFINE_SIZES(NAME, DOT, CHANGE, BLOCKS)                                                  \
    DEFINE_TILE(NAME, DOT, CHANGE, BLOCKS, 1)                                                    \
    DEFINE_TILE(NAME, DOT, CHANGE, BLOCKS, 2)                                                    \
    DEFINE_TILE(NAME, DOT, CHANGE, BLOCKS, 3)                                                    \
    DEFINE_TILE(NAME, DOT, CHANGE, BLOCKS, 4)                                                    \
    DEFINE_TILE(NAME, DOT, CHANGE, BLOCKS, 5)                                                    \
    DEFINE_TILE(NAME, DOT, CHANGE, BLOCKS, 6)                                                    \
    DEFINE_TILE(NAME, DOT, CHANGE, BLOCKS, 7)

DEFINE_TILES(vnni8, dot8, as_it_is);
DEFINE_TILES(vnni8_flipped, dot8, flipped);
DEFINE_TILES(vnni16, dot16, as_it_is);

int32_t dy_has_units(void)
{
    return 1;
}

int32_t dy_tile_blocks(int32_t left)
{
    return left < 4 ? left : 4;
}

/* The last two tiles are of about the same size. */
int32_t dy_tile_pixels(int32_t blocks, int32_t left)
{
    static const int32_t most[] = {28, 14, 7, 7};
    const int32_t size = most[blocks - 1];
    int32_t pixels = left <= size ? left : left >= 2 * size ? size : (left + 1) / 2;
    while (!vnni8[blocks - 1][pixels])
        pixels--;
    return pixels;
}

void dy_tile_sums(const dy_tile *t, const void *weights, const int32_t *bias, int32_t block,
                  int32_t *sums)
{
    tile_function *const(*table)[DY_TILE_PIXELS + 1] =
        t->unit == DY_VNNI16 ? vnni16 : t->flip ? vnni8_flipped : vnni8;
    const uint8_t *from = (const uint8_t *)weights + (int64_t)block * t->depth * DY_WORD_BYTES;
    table[t->blocks - 1][t->pixels](t, from, bias + 16 * block, sums);
}

#endif
