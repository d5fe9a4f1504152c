/* What a set of instructions offers, under one set of names; DY_TILES says that there is one.
 *
 * A dy_vector holds DY_LANES int32; + - * << >> & | ^ go lane by lane. A block, 16 channels, is
 * DY_PARTS vectors; a tile is up to DY_TILE_BLOCKS blocks times DY_TILE_PIXELS pixels. Dot products
 * wrap modulo 2^32; dy_dot8 takes unsigned bytes (signed: NEON) and signed weights.
 */
#ifndef DYADIC_SIMD_H
#define DYADIC_SIMD_H

#include "dyadic_kernels.h"

#include <stddef.h>
#include <string.h>

enum { DY_BLOCK = 16 };

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__)                       \
    && defined(__AVX512VL__) && defined(__AVX512VNNI__)
#include "dyadic_avx512.h"
#elif defined(__AVX2__)
#include "dyadic_avx2.h"
#elif defined(__ARM_FEATURE_DOTPROD) && defined(__aarch64__)
#include "dyadic_neon.h"
#endif

#ifdef DY_TILES

enum {
    DY_PARTS = DY_BLOCK / DY_LANES,
    DY_VECTORS = DY_TILE_BLOCKS * DY_PARTS,
    DY_TILE_CHANNELS = DY_TILE_BLOCKS * DY_BLOCK
};

typedef uint8_t dy_bytes __attribute__((vector_size(4 * DY_LANES)));
typedef int16_t dy_shorts __attribute__((vector_size(4 * DY_LANES)));

static inline dy_vector dy_load(const void *from)
{
    dy_vector x;
    memcpy(&x, from, sizeof x);
    return x;
}

static inline void dy_store(void *to, dy_vector x)
{
    memcpy(to, &x, sizeof x);
}

static inline dy_vector dy_word(const uint8_t *from)
{
    int32_t value;
    memcpy(&value, from, sizeof value);
    return dy_set(value);
}

static inline dy_vector dy_limit(dy_vector x, dy_vector lo, dy_vector hi)
{
    return dy_min(dy_max(x, lo), hi);
}

/* Copies whole vectors: what is written behind the end is overwritten by what follows, and there is
 * room behind what is read and written. */
static inline void dy_copy_ahead(uint8_t *to, const uint8_t *from, int64_t bytes)
{
    int64_t done;
    for (done = 0; done < bytes; done += (int64_t)sizeof(dy_vector))
        dy_store(to + done, dy_load(from + done));
}

#ifndef DY_TILES_ARE_WIDE

static inline dy_vector dy_dot8_from(dy_vector sums, dy_vector x, const uint8_t *weights)
{
    return dy_dot8(sums, x, dy_load(weights));
}

static inline dy_vector dy_dot16_from(dy_vector sums, dy_vector x, const uint8_t *weights)
{
    return dy_dot16(sums, x, dy_load(weights));
}

/* Bytes as those of the other sign, 128 off. */
static inline dy_vector dy_flip(dy_vector x)
{
    return x ^ dy_set(-2139062144); /* 0x80808080 */
}

/* Where a tile's channels go, and between which bounds. */
typedef struct {
    uint8_t *at;
    int64_t step;                          /* bytes to the next pixel */
    int32_t type, lanes;
    dy_vector lo, hi;
} dy_target;

static inline dy_target dy_target_of(int32_t type, int32_t lanes, int32_t lo, int32_t hi)
{
    static const int32_t least[] = {0, INT8_MIN, INT16_MIN, INT32_MIN};
    static const int32_t most[] = {UINT8_MAX, INT8_MAX, INT16_MAX, INT32_MAX};
    dy_target t = {NULL, 0, type, lanes, {0}, {0}};
    t.lo = dy_set(lo > least[type] ? lo : least[type]);
    t.hi = dy_set(hi < most[type] ? hi : most[type]);
    return t;
}

/* Clamps and stores the target's channels, and goes on to the next pixel. */
static inline __attribute__((always_inline)) void
dy_put(dy_target *t, const int32_t type, const int32_t vectors, const dy_vector x[DY_VECTORS])
{
    const uint32_t size = type == DY_S32 ? 4 : type == DY_S16 ? 2 : 1;
    uint8_t made[DY_BLOCK * 4];
    dy_vector y[DY_PARTS];
    int32_t i;
    (void)vectors;
    for (i = 0; i < DY_PARTS; i++)
        y[i] = dy_limit(x[i], t->lo, t->hi);
    if (t->lanes >= DY_BLOCK) {
        dy_narrow(type, y, t->at);
    } else if (t->lanes > 0) {
        dy_narrow(type, y, made);
        memcpy(t->at, made, (uint32_t)t->lanes * size);
    }
    t->at += t->step;
}

#endif
#endif
#endif
