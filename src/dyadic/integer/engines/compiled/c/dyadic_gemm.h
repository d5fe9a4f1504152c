/* Convolutions as matrix products on 8- or 16-bit dot products (AVX512-VNNI).
 *
 * A convolution is [pixels x depth] times [depth x channels]. The input is read in place,
 * border included, or gathered first.
 *
 * Weights are packed [channels / 16][depth / 4][16][4] bytes (16-bit: [depth / 2][16][2]), the
 * order in which vpdpbusd and vpdpwssd read them.
 */
#ifndef DYADIC_GEMM_H
#define DYADIC_GEMM_H

#include "dyadic_kernels.h"

enum { DY_VNNI8, DY_VNNI16 };              /* dy_gemm.unit */
enum { DY_OUTPUTS = 3 };

/* Bytes [offset, offset + 4 * words) behind a pixel's first, which meet consecutive weights. */
typedef struct {
    int64_t offset, words;
} dy_stretch;

/* A rescaling with one (b, c) per lane, padded to whole vectors, b by one lane more.
 *
 * high: every c > 32, so the products' high words are enough: c is 32 less here, and `round` is
 * 2^(c - 33). A smaller c gets there where acc << up fits 32 bits:  acc * b >> c  is
 * (acc << up) * b >> (c + up),  rounding included. */
typedef struct {
    const int32_t *b, *c;
    const int32_t *up;                     /* NULL if no lane is shifted up */
    const int32_t *round;                  /* if high */
    int32_t high, lo, hi;
} dy_lanes;

/* What an output gets: the sum itself (lanes.b NULL), or rescaled. */
typedef struct {
    int32_t slot;
    dy_lanes lanes;
} dy_output;

typedef struct {
    int32_t unit;
    int32_t in_place;                      /* else the input is gathered */
    int32_t flip;                          /* signed input for vpdpbusd: + 128, taken off the bias */
    int32_t fold;                          /* one pixel an image: the batch is the pixels */
    int32_t limit;                         /* positions that a thread can gather at a time */
    int32_t stretch_count, words;          /* words: depth in units of 4 bytes */
    int32_t blocks;                        /* output channels / 16, rounded up */
    const dy_stretch *stretches;
    const void *weights, *odd;             /* odd: the plane of sqrt(2), or NULL */
    const int32_t *bias;                   /* [blocks * 16] */
    const int32_t *odd_bias, *odd_b;
    dy_lanes lanes;
    int32_t add, lo, hi;                   /* slot of a residual to be added and clamped; -1: none */
    int32_t output_count;
    dy_output outputs[DY_OUTPUTS];
} dy_gemm;

/* A part of a product: some positions of one image times some blocks of channels. */
typedef struct {
    const dy_gemm *gemm;
    const dy_window *window;
    dy_tensor in, residual, outputs[DY_OUTPUTS];
    int32_t first, last;                   /* positions, row by row */
    int32_t first_block, last_block;
    uint8_t *scratch;                      /* of the thread; 64-byte aligned */
} dy_product;

/* Whether this library was built for a processor that has the units. */
int32_t dy_has_units(void);

void dy_multiply(const dy_product *product);

#endif
