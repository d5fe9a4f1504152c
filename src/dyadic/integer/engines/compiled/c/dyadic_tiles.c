#include "dyadic_tiles.h"

#ifdef DY_TILES

int32_t dy_has_unit(int32_t unit)
{
    return unit == DY_AMX ? dy_amx_permitted() : 1;
}

int32_t dy_tile_blocks(int32_t unit, int32_t left)
{
    const int32_t most = unit == DY_AMX ? 2 : 4;
    return left < most ? left : most;
}

/* The last two tiles are of about the same size, where a tile's work goes with its size. */
int32_t dy_tile_pixels(int32_t unit, int32_t blocks, int32_t left)
{
    const int32_t most = unit == DY_AMX ? DY_TILE_PIXELS : dy_vnni_pixels(blocks);
    if (left <= most)
        return left;
    return unit == DY_AMX || left >= 2 * most ? most : (left + 1) / 2;
}

void dy_tile_sums(const dy_tile *t, const void *weights, const int32_t *bias, int32_t block,
                  int32_t *sums)
{
    const uint8_t *from = (const uint8_t *)weights + (int64_t)block * t->depth * DY_WORD_BYTES;
    if (t->unit == DY_AMX)
        dy_amx_sums(t, from, bias + 16 * block, sums);
    else
        dy_vnni_sums(t, from, bias + 16 * block, sums);
}

#endif
