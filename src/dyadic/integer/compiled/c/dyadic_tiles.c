#define _GNU_SOURCE
#include "dyadic_tiles.h"

#ifdef DY_TILES

#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Tests name a header here that does in plain C what AMX does, for processors without it. */
#ifdef DY_TILES_EMULATED
#include DY_TILES_EMULATED
#endif

enum { WORDS_OF_A_CHUNK = 16, BLOCK_BYTES = 64 }; /* 4 bytes for each of 16 channels */

/* ---- AVX512-VNNI ----------------------------------------------------------------------- */

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
        const int64_t plane = (int64_t)t->depth * BLOCK_BYTES;                                   \
        int32_t s, k, p, b;                                                                      \
        _Pragma("GCC unroll 32") for (p = 0; p < PIXELS; p++)                                    \
            _Pragma("GCC unroll 4") for (b = 0; b < BLOCKS; b++)                                 \
                sums[p][b] = _mm512_loadu_si512(bias + 16 * b);                                  \
        for (s = 0; s < t->stretch_count; s++) {                                                 \
            const uint8_t *x = t->rows + t->stretches[s].offset;                                 \
            for (k = 0; k < t->stretches[s].words; k++, x += 4, weights += BLOCK_BYTES) {        \
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

static tile_function *vnni_tile(const dy_tile *t)
{
    const int32_t blocks = t->blocks - 1, size = (t->pixels - 1) >> log_each[blocks];
    if (t->unit == DY_VNNI16)
        return vnni16[blocks][size];
    return t->flip ? vnni8_flipped[blocks][size] : vnni8[blocks][size];
}

/* ---- AMX ------------------------------------------------------------------------------- */

#if defined(__AMX_INT8__) || defined(DY_TILES_EMULATED)

enum { TILE_ROWS = 16, REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };

typedef struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tile_configuration;

/* Linux gives the tile registers to a process that asks; 0 means yes. */
static int amx_permitted(void)
{
#ifdef DY_TILES_EMULATED
    return 1;
#else
    static int answer = -1;
    if (answer < 0)
        answer = syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
    return answer;
#endif
}

/* Eight whole tiles of 16 rows of 64 bytes. Not on the stack: gcc 12 does not know how much of it
 * the instruction reads and drops stores. */
static const tile_configuration all_tiles = {
    1, 0, {0}, {64, 64, 64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16, 16, 16}};

void dy_tiles_begin(int32_t unit)
{
    if (unit == DY_AMX)
        _tile_loadconfig(&all_tiles);
}

void dy_tiles_end(int32_t unit)
{
    if (unit == DY_AMX)
        _tile_release();
}

/* Tile registers: 0 to 3 sums (row, column), 4 and 5 pixels, 6 and 7 weights. */
#define DEFINE_AMX(NAME, DOT, TWO_ROWS, TWO_COLUMNS)                                             \
    static void NAME(const dy_tile *t, const uint8_t *weights, const int32_t *bias, int32_t *to) \
    {                                                                                            \
        const uint8_t *second = weights + (int64_t)t->depth * BLOCK_BYTES;                       \
        const int64_t below = TILE_ROWS * t->step, row = 4 * DY_TILE_CHANNELS;                   \
        int32_t s, k;                                                                            \
        _tile_loadd(0, bias, 0);                                                                 \
        if (TWO_COLUMNS)                                                                         \
            _tile_loadd(1, bias + 16, 0);                                                        \
        if (TWO_ROWS)                                                                            \
            _tile_loadd(2, bias, 0);                                                             \
        if (TWO_ROWS && TWO_COLUMNS)                                                             \
            _tile_loadd(3, bias + 16, 0);                                                        \
        for (s = 0; s < t->stretch_count; s++) {                                                 \
            const uint8_t *x = t->rows + t->stretches[s].offset;                                 \
            for (k = 0; k < t->stretches[s].words; k += WORDS_OF_A_CHUNK) {                      \
                _tile_loadd(6, weights, BLOCK_BYTES);                                            \
                _tile_loadd(4, x, t->step);                                                      \
                DOT(0, 4, 6);                                                                    \
                if (TWO_ROWS) {                                                                  \
                    _tile_loadd(5, x + below, t->step);                                          \
                    DOT(2, 5, 6);                                                                \
                }                                                                                \
                if (TWO_COLUMNS) {                                                               \
                    _tile_loadd(7, second, BLOCK_BYTES);                                         \
                    DOT(1, 4, 7);                                                                \
                }                                                                                \
                if (TWO_ROWS && TWO_COLUMNS)                                                     \
                    DOT(3, 5, 7);                                                                \
                x += 4 * WORDS_OF_A_CHUNK;                                                       \
                weights += WORDS_OF_A_CHUNK * BLOCK_BYTES;                                       \
                second += WORDS_OF_A_CHUNK * BLOCK_BYTES;                                        \
            }                                                                                    \
        }                                                                                        \
        _tile_stored(0, to, row);                                                                \
        if (TWO_COLUMNS)                                                                         \
            _tile_stored(1, to + 16, row);                                                       \
        if (TWO_ROWS)                                                                            \
            _tile_stored(2, to + TILE_ROWS * DY_TILE_CHANNELS, row);                             \
        if (TWO_ROWS && TWO_COLUMNS)                                                             \
            _tile_stored(3, to + TILE_ROWS * DY_TILE_CHANNELS + 16, row);                        \
    }

#define DEFINE_AMX_TILES(NAME, DOT)                                                              \
    DEFINE_AMX(NAME##_1_1, DOT, 0, 0)                                                            \
    DEFINE_AMX(NAME##_1_2, DOT, 0, 1)                                                            \
    DEFINE_AMX(NAME##_2_1, DOT, 1, 0)                                                            \
    DEFINE_AMX(NAME##_2_2, DOT, 1, 1)                                                            \
    static void NAME(const dy_tile *t, const uint8_t *weights, const int32_t *bias, int32_t *to) \
    {                                                                                            \
        if (t->pixels <= TILE_ROWS && t->blocks == 1)                                            \
            NAME##_1_1(t, weights, bias, to);                                                    \
        else if (t->pixels <= TILE_ROWS)                                                         \
            NAME##_1_2(t, weights, bias, to);                                                    \
        else if (t->blocks == 1)                                                                 \
            NAME##_2_1(t, weights, bias, to);                                                    \
        else                                                                                     \
            NAME##_2_2(t, weights, bias, to);                                                    \
    }

DEFINE_AMX_TILES(amx_unsigned, _tile_dpbusd)
DEFINE_AMX_TILES(amx_signed, _tile_dpbssd)

static void amx_tile(const dy_tile *t, const uint8_t *weights, const int32_t *bias, int32_t *to)
{
    if (t->is_signed)
        amx_signed(t, weights, bias, to);
    else
        amx_unsigned(t, weights, bias, to);
}

#else

static void amx_tile(const dy_tile *t, const uint8_t *weights, const int32_t *bias, int32_t *to)
{
    (void)t, (void)weights, (void)bias, (void)to;
}

static int amx_permitted(void)
{
    return 0;
}

void dy_tiles_begin(int32_t unit)
{
    (void)unit;
}

void dy_tiles_end(int32_t unit)
{
    (void)unit;
}

#endif

/* ---- both ------------------------------------------------------------------------------ */

int32_t dy_has_unit(int32_t unit)
{
    return unit == DY_AMX ? amx_permitted() : 1;
}

int32_t dy_tile_blocks(int32_t unit, int32_t left)
{
    const int32_t most = unit == DY_AMX ? 2 : 4;
    return left < most ? left : most;
}

/* The last two tiles are of about the same size, where a tile's work goes with its size. */
int32_t dy_tile_pixels(int32_t unit, int32_t blocks, int32_t left)
{
    const int32_t most = unit == DY_AMX ? DY_TILE_PIXELS : SIZES << log_each[blocks - 1];
    if (left <= most)
        return left;
    return unit == DY_AMX || left >= 2 * most ? most : (left + 1) / 2;
}

void dy_tile_sums(const dy_tile *t, const void *weights, const int32_t *bias, int32_t block,
                  int32_t *sums)
{
    const uint8_t *from = (const uint8_t *)weights + (int64_t)block * t->depth * BLOCK_BYTES;
    if (t->unit == DY_AMX)
        amx_tile(t, from, bias + 16 * block, sums);
    else
        vnni_tile(t)(t, from, bias + 16 * block, sums);
}

#endif
