/* The AMX tile instructions in plain C, exactly as specified, faults included: the sources of the
 * compiled engine's AMX path, built with DY_TILES_EMULATED, run on a processor without it.
 */
#ifndef EMULATED_TILES_H
#define EMULATED_TILES_H

#include <immintrin.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { EMULATED_TILES = 8, EMULATED_ROWS = 16, EMULATED_BYTES = 64 };

typedef struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} emulated_configuration;

static __thread emulated_configuration emulated;
static __thread uint8_t emulated_data[EMULATED_TILES][EMULATED_ROWS][EMULATED_BYTES];

/* Where a processor would raise a fault. */
static void emulated_require(int condition)
{
    if (!condition)
        abort();
}

static void emulated_release(void)
{
    memset(&emulated, 0, sizeof emulated);
    memset(emulated_data, 0, sizeof emulated_data);
}

static void emulated_configure(const void *from)
{
    int i;
    emulated_release();
    memcpy(&emulated, from, sizeof emulated);
    emulated_require(emulated.palette == 1 && emulated.start_row == 0);
    for (i = 0; i < 14; i++)
        emulated_require(emulated.reserved[i] == 0);
    for (i = 0; i < 16; i++) {
        emulated_require((emulated.rows[i] == 0) == (emulated.row_bytes[i] == 0));
        emulated_require(emulated.rows[i] <= (i < EMULATED_TILES ? EMULATED_ROWS : 0));
        emulated_require(emulated.row_bytes[i] <= EMULATED_BYTES);
    }
}

static void emulated_use(int tile)
{
    emulated_require(emulated.palette == 1 && tile < EMULATED_TILES && emulated.rows[tile] > 0);
}

static void emulated_zero(int tile)
{
    emulated_use(tile);
    memset(emulated_data[tile], 0, sizeof emulated_data[tile]);
}

static void emulated_load(int tile, const void *base, int64_t stride)
{
    int row;
    emulated_zero(tile);
    for (row = 0; row < emulated.rows[tile]; row++)
        memcpy(emulated_data[tile][row], (const uint8_t *)base + row * stride,
               emulated.row_bytes[tile]);
}

static void emulated_store(int tile, void *base, int64_t stride)
{
    int row;
    emulated_use(tile);
    for (row = 0; row < emulated.rows[tile]; row++)
        memcpy((uint8_t *)base + row * stride, emulated_data[tile][row], emulated.row_bytes[tile]);
}

static int32_t emulated_byte(uint8_t byte, int is_signed)
{
    return is_signed ? (int8_t)byte : byte;
}

/* sums += x * y on 8-bit integers; sums wrap around. */
static void emulated_dot(int sums, int x, int y, int x_signed, int y_signed)
{
    int row, column, word, byte;
    emulated_use(sums);
    emulated_use(x);
    emulated_use(y);
    emulated_require(sums != x && sums != y && x != y);
    emulated_require(emulated.rows[sums] == emulated.rows[x]);
    emulated_require(emulated.row_bytes[sums] == emulated.row_bytes[y]);
    emulated_require(emulated.row_bytes[x] == 4 * emulated.rows[y]);
    emulated_require(emulated.row_bytes[x] % 4 == 0 && emulated.row_bytes[y] % 4 == 0);
    for (row = 0; row < emulated.rows[sums]; row++)
        for (column = 0; column < emulated.row_bytes[sums] / 4; column++) {
            uint8_t *at = emulated_data[sums][row] + 4 * column;
            uint32_t sum;
            memcpy(&sum, at, sizeof sum);
            for (word = 0; word < emulated.rows[y]; word++)
                for (byte = 0; byte < 4; byte++)
                    sum += (uint32_t)(emulated_byte(emulated_data[x][row][4 * word + byte],
                                                    x_signed)
                                      * emulated_byte(emulated_data[y][word][4 * column + byte],
                                                      y_signed));
            memcpy(at, &sum, sizeof sum);
        }
}

#undef _tile_loadconfig
#undef _tile_release
#undef _tile_zero
#undef _tile_loadd
#undef _tile_stored
#undef _tile_dpbusd
#undef _tile_dpbssd
#define _tile_loadconfig emulated_configure
#define _tile_release emulated_release
#define _tile_zero emulated_zero
#define _tile_loadd emulated_load
#define _tile_stored emulated_store
#define _tile_dpbusd(sums, x, y) emulated_dot(sums, x, y, 0, 1)
#define _tile_dpbssd(sums, x, y) emulated_dot(sums, x, y, 1, 1)

#endif
