/* Tiles of sums in AMX's tile registers. */
#define _GNU_SOURCE
#include "dyadic_tiles.h"

#ifdef DY_TILES

#include <sys/syscall.h>
#include <unistd.h>

/* Tests name a header here that does in plain C what AMX does, for processors without it. */
#ifdef DY_TILES_EMULATED
#include DY_TILES_EMULATED
#endif

#if defined(__AMX_INT8__) || defined(DY_TILES_EMULATED)

enum { TILE_ROWS = 16, WORDS_OF_A_CHUNK = 16 };
enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };

typedef struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tile_configuration;

/* Linux gives the tile registers to a process that asks; 0 means yes. */
int32_t dy_amx_permitted(void)
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
        const uint8_t *second = weights + (int64_t)t->depth * DY_WORD_BYTES;                     \
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
                _tile_loadd(6, weights, DY_WORD_BYTES);                                          \
                _tile_loadd(4, x, t->step);                                                      \
                DOT(0, 4, 6);                                                                    \
                if (TWO_ROWS) {                                                                  \
                    _tile_loadd(5, x + below, t->step);                                          \
                    DOT(2, 5, 6);                                                                \
                }                                                                                \
                if (TWO_COLUMNS) {                                                               \
                    _tile_loadd(7, second, DY_WORD_BYTES);                                       \
                    DOT(1, 4, 7);                                                                \
                }                                                                                \
                if (TWO_ROWS && TWO_COLUMNS)                                                     \
                    DOT(3, 5, 7);                                                                \
                x += 4 * WORDS_OF_A_CHUNK;                                                       \
                weights += WORDS_OF_A_CHUNK * DY_WORD_BYTES;                                     \
                second += WORDS_OF_A_CHUNK * DY_WORD_BYTES;                                      \
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

void dy_amx_sums(const dy_tile *t, const uint8_t *weights, const int32_t *bias, int32_t *to)
{
    if (t->is_signed)
        amx_signed(t, weights, bias, to);
    else
        amx_unsigned(t, weights, bias, to);
}

#else

void dy_amx_sums(const dy_tile *t, const uint8_t *weights, const int32_t *bias, int32_t *to)
{
    (void)t, (void)weights, (void)bias, (void)to;
}

int32_t dy_amx_permitted(void)
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

#endif
