/* Tiles of sums: some pixels times some blocks of 16 channels, by AVX512-VNNI.
 *
 * DY_TILES says that the compiler builds for a processor that has it.
 */
#ifndef DYADIC_TILES_H
#define DYADIC_TILES_H

#include "dyadic_gemm.h"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__)                       \
    && defined(__AVX512VL__) && defined(__AVX512VNNI__)
#define DY_TILES

#include <immintrin.h>

enum { DY_WORD_BYTES = 64 };               /* of a block's weights: 4 for each of 16 channels */
enum { DY_TILE_PIXELS = 28, DY_TILE_CHANNELS = 64 }; /* the largest tile; sums are [28][64] */

typedef struct {
    int32_t unit, flip;
    int32_t pixels, blocks;
    int32_t y, x;                          /* of the first pixel, by rows of positions */
    int32_t depth;                         /* words */
    int32_t stretch_count;
    const dy_stretch *stretches;
    const uint8_t *rows;                   /* first pixel's */
    int64_t step;                          /* bytes from a pixel's row to the next one's */
} dy_tile;

/* How much the next tile takes of what is left: never more, so that no tile reads beyond it. */
int32_t dy_tile_blocks(int32_t left);
int32_t dy_tile_pixels(int32_t blocks, int32_t left);

/* Sums of the tile's pixels for the channels from 16 * block on, bias included. */
void dy_tile_sums(const dy_tile *tile, const void *weights, const int32_t *bias, int32_t block,
                  int32_t *sums);

#endif
#endif
