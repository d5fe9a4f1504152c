/* What becomes of a tile's sums: rescaled, added to a residual, stored. */
#ifndef DYADIC_FINISH_H
#define DYADIC_FINISH_H

#include "dyadic_tiles.h"

#ifdef DY_TILES

/* Pixels of one output row and their sums; `odd` are those of the plane of sqrt(2), if there is
 * one. `step` is what lies between two pixels' sums. */
typedef struct {
    int32_t y, x, count, step;
    const int32_t *sums, *odd;
} dy_segment;

/* Fetches what dy_finish will read, and where it will write; to be called before the sums are made. */
void dy_finish_soon(const dy_product *product, const dy_tile *tile, int32_t block);

/* The tile's pixels, its channels from 16 * block on. */
void dy_finish(const dy_product *product, const dy_tile *tile, int32_t block, const int32_t *sums,
               const int32_t *odd);
void dy_finish_segment(const dy_product *product, const dy_segment *segment, int32_t block,
                       int32_t blocks);

#endif
#endif
