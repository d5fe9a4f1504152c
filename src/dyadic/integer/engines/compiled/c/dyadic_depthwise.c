/* A channel of the output sees one channel of the input: two taps at a time share a lane. */
#include "dyadic_tiles.h"

#ifdef DY_TILES

/* Lanes of two 16-bit integers: one tap's input below, the next one's above. */
static inline __attribute__((always_inline)) dy_vector pair(const int32_t type, const uint8_t *one,
                                                            const uint8_t *other)
{
    const dy_vector low = dy_widen(type, one), high = dy_widen(type, other);
    return (type == DY_U8 ? low : low & dy_set(0xffff)) | high << 16;
}

/* The stretches are taps, an even number of them. */
static inline __attribute__((always_inline)) void
sums_of(const dy_tile *t, const int32_t type, const uint8_t *weights, const int32_t *bias,
        int32_t *to)
{
    const int32_t size = type == DY_S16 ? 2 : 1, vectors = t->blocks * DY_PARTS;
    int32_t v, p, k;
    for (v = 0; v < vectors; v++) {
        const uint8_t *w = weights + (int64_t)(v / DY_PARTS) * t->depth * DY_WORD_BYTES
                           + v % DY_PARTS * 4 * DY_LANES;
        const uint8_t *x = t->rows + (int64_t)v * DY_LANES * size;
        for (p = 0; p < t->pixels; p++, x += t->step) {
            dy_vector sums = dy_load(bias + DY_LANES * v);
            for (k = 0; k < t->depth; k++)
                sums = dy_dot16(sums,
                                pair(type, x + t->stretches[2 * k].offset,
                                     x + t->stretches[2 * k + 1].offset),
                                dy_load(w + k * DY_WORD_BYTES));
            dy_store(to + p * DY_TILE_CHANNELS + DY_LANES * v, sums);
        }
    }
}

void dy_depthwise_sums(const dy_tile *t, const uint8_t *weights, const int32_t *bias, int32_t *to)
{
    if (t->type == DY_U8)
        sums_of(t, DY_U8, weights, bias, to);
    else if (t->type == DY_S8)
        sums_of(t, DY_S8, weights, bias, to);
    else
        sums_of(t, DY_S16, weights, bias, to);
}

#endif
