/* The rule on vectors of channels. */
#ifndef DYADIC_LANES_H
#define DYADIC_LANES_H

#include "dyadic_tiles.h"

#ifdef DY_TILES

/* Constants of a vector's channels by high words; `half` is what rounds, and c counts from 32 on. */
typedef struct {
    dy_vector b, b_odd, half, c, up;
} dy_constants;

static inline dy_constants dy_constants_of(const dy_lanes *lanes, int32_t channel)
{
    dy_constants k;
    DY_REQUIRE(lanes->high);
    k.b = dy_load(lanes->b + channel);
    k.b_odd = dy_load(lanes->b + channel + 1);
    k.half = dy_load(lanes->round + channel);
    k.c = dy_load(lanes->c + channel);
    k.up = lanes->up ? dy_load(lanes->up + channel) : dy_set(0);
    return k;
}

/* Not clamped yet. The low words are below what is shifted out. `shifted` says whether lanes may
 * have to be shifted up. */
static inline dy_vector dy_scale_high(dy_vector acc, const dy_constants *k, const int shifted)
{
    return (dy_mul_high(shifted ? acc << k->up : acc, k->b, k->b_odd) + k->half) >> k->c;
}

#endif
#endif
