/* What becomes of a tile's sums: rescaled, added to a residual, stored. */
#ifndef DYADIC_FINISH_H
#define DYADIC_FINISH_H

#include "dyadic_tiles.h"

#ifdef DY_TILES

/* Fetches what dy_finish will read of the residual; to be called before the sums are made. */
void dy_finish_soon(const dy_product *product, const dy_tile *tile, int32_t block);

/* The tile's pixels, its channels from 16 * block on; `odd` are the sums of the plane of sqrt(2),
 * if there is one. */
void dy_finish(const dy_product *product, const dy_tile *tile, int32_t block, const int32_t *sums,
               const int32_t *odd);

#endif
#endif
