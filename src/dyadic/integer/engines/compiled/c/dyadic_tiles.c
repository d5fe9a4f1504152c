/* Tiles of sums in registers, by dot products of bytes or of 16-bit integers. */
#include "dyadic_tiles.h"

#ifdef DY_TILES

typedef void tile_function(const dy_tile *t, const uint8_t *weights, const int32_t *bias,
                           int32_t *to);

static inline dy_vector as_it_is(dy_vector x)
{
    return x;
}

enum { AHEAD = 1 << 13 };                  /* bytes; processors do not fetch beyond a page */

/* PIXELS x VECTORS sums stay in registers, and with them a word's weights; where AVX-512 has no room
 * for the last block's, they are read for every pixel. */
#define DEFINE_TILE(NAME, DOT, CHANGE, BLOCKS, PIXELS)                                           \
    static void NAME##_##BLOCKS##_##PIXELS(const dy_tile *t, const uint8_t *weights,             \
                                           const int32_t *bias, int32_t *to)                     \
    {                                                                                            \
        enum { VECTORS = BLOCKS * DY_PARTS };                                                    \
        enum { FITS = PIXELS * VECTORS + VECTORS < 32 || DY_PARTS > 1 };                         \
        enum { KEPT = FITS ? VECTORS : VECTORS - 1 };                                            \
        dy_vector sums[PIXELS][VECTORS], w[VECTORS];                                             \
        const uint8_t *soon = t->soon;                                                           \
        int32_t s, p, b;                                                                         \
        _Pragma("GCC unroll 32") for (p = 0; p < PIXELS; p++)                                    \
            _Pragma("GCC unroll 4") for (b = 0; b < VECTORS; b++)                                \
                sums[p][b] = dy_load(bias + DY_LANES * b);                                       \
        for (s = 0; s < t->stretch_count; s++) {                                                 \
            const uint8_t *x = t->rows + t->stretches[s].offset;                                 \
            const uint8_t *const end = x + 4 * t->stretches[s].words;                            \
            for (; x < end; x += 4, weights += BLOCKS * DY_WORD_BYTES) {                         \
                _Pragma("GCC unroll 4") for (b = 0; b < BLOCKS; b++)                             \
                    __builtin_prefetch(weights + AHEAD + DY_WORD_BYTES * b);                     \
                if (BLOCKS > 1) {                                                                \
                    __builtin_prefetch(soon, 0, 2);                                              \
                    __builtin_prefetch(soon + DY_WORD_BYTES, 0, 2);                              \
                    soon += t->soon_step;                                                        \
                }                                                                                \
                _Pragma("GCC unroll 4") for (b = 0; b < KEPT; b++)                               \
                    w[b] = dy_load(weights + 4 * DY_LANES * b);                                  \
                _Pragma("GCC unroll 32") for (p = 0; p < PIXELS; p++)                            \
                {                                                                                \
                    const dy_vector v = CHANGE(dy_word(x + p * t->step));                        \
                    _Pragma("GCC unroll 4") for (b = 0; b < KEPT; b++)                           \
                        sums[p][b] = DOT(sums[p][b], v, w[b]);                                   \
                    if ((int)KEPT < (int)VECTORS)                                                \
                        sums[p][KEPT] = DOT##_from(sums[p][KEPT], v,                             \
                                                   weights + 4 * DY_LANES * KEPT);               \
                }                                                                                \
            }                                                                                    \
        }                                                                                        \
        _Pragma("GCC unroll 32") for (p = 0; p < PIXELS; p++)                                    \
            _Pragma("GCC unroll 4") for (b = 0; b < VECTORS; b++)                                \
                dy_store(to + p * DY_TILE_CHANNELS + DY_LANES * b, sums[p][b]);                  \
    }

#define DEFINE_SIZES(NAME, DOT, CHANGE, BLOCKS)                                                  \
    DEFINE_TILE(NAME, DOT, CHANGE, BLOCKS, 1)                                                    \
    DEFINE_TILE(NAME, DOT, CHANGE, BLOCKS, 2)                                                    \
    DEFINE_TILE(NAME, DOT, CHANGE, BLOCKS, 3)                                                    \
    DEFINE_TILE(NAME, DOT, CHANGE, BLOCKS, 4)                                                    \
    DEFINE_TILE(NAME, DOT, CHANGE, BLOCKS, 5)                                                    \
    DEFINE_TILE(NAME, DOT, CHANGE, BLOCKS, 6)

#define SIZES(NAME, B) NULL, NAME##_##B##_1, NAME##_##B##_2, NAME##_##B##_3, NAME##_##B##_4, \
                       NAME##_##B##_5, NAME##_##B##_6

/* Sizes for each number of blocks; any number of pixels is a sum of a few. */
#if DY_TILES_ARE_WIDE
#define DEFINE_TILES(NAME, DOT, CHANGE)                                                          \
    DEFINE_SIZES(NAME, DOT, CHANGE, 1)                                                           \
    DEFINE_TILE(NAME, DOT, CHANGE, 1, 8)                                                         \
    DEFINE_TILE(NAME, DOT, CHANGE, 1, 12)                                                        \
    DEFINE_TILE(NAME, DOT, CHANGE, 1, 16)                                                        \
    DEFINE_TILE(NAME, DOT, CHANGE, 1, 20)                                                        \
    DEFINE_TILE(NAME, DOT, CHANGE, 1, 24)                                                        \
    DEFINE_TILE(NAME, DOT, CHANGE, 1, 28)                                                        \
    DEFINE_SIZES(NAME, DOT, CHANGE, 2)                                                           \
    DEFINE_TILE(NAME, DOT, CHANGE, 2, 8)                                                         \
    DEFINE_TILE(NAME, DOT, CHANGE, 2, 10)                                                        \
    DEFINE_TILE(NAME, DOT, CHANGE, 2, 12)                                                        \
    DEFINE_TILE(NAME, DOT, CHANGE, 2, 14)                                                        \
    DEFINE_SIZES(NAME, DOT, CHANGE, 3)                                                           \
    DEFINE_TILE(NAME, DOT, CHANGE, 3, 7)                                                         \
    DEFINE_SIZES(NAME, DOT, CHANGE, 4)                                                           \
    DEFINE_TILE(NAME, DOT, CHANGE, 4, 7)                                                         \
    static tile_function *const NAME[DY_TILE_BLOCKS][DY_TILE_PIXELS + 1] = {                     \
        {SIZES(NAME, 1), [8] = NAME##_1_8, [12] = NAME##_1_12, [16] = NAME##_1_16,               \
         [20] = NAME##_1_20, [24] = NAME##_1_24, [28] = NAME##_1_28},                            \
        {SIZES(NAME, 2), [8] = NAME##_2_8, [10] = NAME##_2_10, [12] = NAME##_2_12,               \
         [14] = NAME##_2_14},                                                                    \
        {SIZES(NAME, 3), [7] = NAME##_3_7},                                                      \
        {SIZES(NAME, 4), [7] = NAME##_4_7}}
#else
#define DEFINE_TILES(NAME, DOT, CHANGE)                                                          \
    DEFINE_SIZES(NAME, DOT, CHANGE, 1)                                                           \
    static tile_function *const NAME[DY_TILE_BLOCKS][DY_TILE_PIXELS + 1] = {{SIZES(NAME, 1)}}
#endif

DEFINE_TILES(bytes, dy_dot8, as_it_is);
DEFINE_TILES(bytes_flipped, dy_dot8, dy_flip);
DEFINE_TILES(shorts, dy_dot16, as_it_is);

/* Weights for the next blocks or points follow this tile's; tiles of more than a block fetch two
 * lines for every word. */
void dy_tile_soon(dy_tile *t, const uint8_t *weights, int32_t pass)
{
    const int64_t all = (int64_t)t->depth * t->blocks * DY_WORD_BYTES;
    const int64_t each = (int64_t)t->depth * 2 * DY_WORD_BYTES;
    t->soon_step = each * pass < all ? 2 * DY_WORD_BYTES : 0;
    t->soon = t->soon_step ? weights + all + each * pass : weights;
}

/* The last two tiles are of about the same size. */
int32_t dy_tile_pixels(int32_t blocks, int32_t left)
{
    static const int32_t most[] = {DY_TILE_PIXELS, 14, 7, 7};
    const int32_t size = most[blocks - 1];
    int32_t pixels = left <= size ? left : left >= 2 * size ? size : (left + 1) / 2;
    while (!bytes[blocks - 1][pixels])
        pixels--;
    return pixels;
}

void dy_tile_sums(const dy_tile *t, const uint8_t *weights, const int32_t *bias, int32_t *sums)
{
    tile_function *const(*table)[DY_TILE_PIXELS + 1] =
        t->unit == DY_DOT16 ? shorts : t->flip ? bytes_flipped : bytes;
    DY_REQUIRE(t->blocks > 0 && t->blocks <= DY_TILE_BLOCKS && t->pixels > 0);
    if (t->unit == DY_DEPTHWISE)
        dy_depthwise_sums(t, weights, bias, sums);
    else
        table[t->blocks - 1][t->pixels](t, weights, bias, sums);
}

#endif
