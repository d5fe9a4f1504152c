/* Tiles of sums: some pixels times some blocks of 16 channels. */
#ifndef DYADIC_TILES_H
#define DYADIC_TILES_H

#include "dyadic_gemm.h"
#include "dyadic_simd.h"

#ifdef DY_TILES

enum { DY_WORD_BYTES = 4 * DY_BLOCK };     /* of a block's weights: 4 for each of 16 channels */

typedef struct {
    int32_t unit, flip;
    int32_t type;                          /* of the input, for DY_DEPTHWISE */
    int32_t pixels, blocks;
    int32_t y, x;                          /* of the first pixel */
    int32_t depth;                         /* words */
    int32_t stretch_count;
    const dy_stretch *stretches;
    const uint8_t *rows;                   /* first pixel's */
    int64_t step;                          /* bytes from a pixel's row to the next one's */
    const uint8_t *soon;                   /* weights that are wanted next: fetched on the way */
    int64_t soon_step;                     /* bytes a word; 0 if there are none */
} dy_tile;

/* How many pixels the next tile takes of what is left: never more, so that none reads beyond it. */
int32_t dy_tile_pixels(int32_t blocks, int32_t left);

/* What the tile fetches, the `pass`th that reads these weights. */
void dy_tile_soon(dy_tile *tile, const uint8_t *weights, int32_t pass);

/* Sums [pixels][DY_TILE_CHANNELS], bias included; weights and bias are the tile's. */
void dy_tile_sums(const dy_tile *tile, const uint8_t *weights, const int32_t *bias, int32_t *sums);

/* The same of DY_DEPTHWISE. */
void dy_depthwise_sums(const dy_tile *tile, const uint8_t *weights, const int32_t *bias,
                       int32_t *sums);

#endif
#endif
