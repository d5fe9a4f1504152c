/* Convolutions as matrix products on 8- or 16-bit dot products (AMX, AVX512-VNNI).
 *
 * A convolution is [pixels x depth] times [depth x channels]. The input is read in place where
 * neighbouring pixels are equally spaced in memory: by rows, or in line, all positions of an image
 * one after another (stride 1; what falls on the input's border is not stored). Else it is gathered
 * first.
 *
 * Weights are packed [channels / 16][depth / 4][16][4] bytes (16-bit: [depth / 2][16][2]), the
 * order in which vpdpbusd, vpdpwssd and tdpb*sd read them.
 */
#ifndef DYADIC_GEMM_H
#define DYADIC_GEMM_H

#include "dyadic_kernels.h"

enum { DY_VNNI8, DY_VNNI16, DY_AMX };      /* dy_gemm.unit */
enum { DY_GATHERED, DY_IN_LINE, DY_BY_ROWS }; /* dy_gemm.read */
enum { DY_OUTPUTS = 3 };

/* Bytes [offset, offset + 4 * words) behind a pixel's first, which meet consecutive weights. */
typedef struct {
    int32_t offset, words;
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
    int32_t read;                          /* DY_GATHERED, ... */
    int32_t flip;                          /* signed input for vpdpbusd: + 128, taken off the bias */
    int32_t is_signed;                     /* 8-bit input, for AMX */
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
    int32_t row;                           /* positions from an output row to the next one */
    int32_t first, last;                   /* positions */
    int32_t first_block, last_block;
    uint8_t *scratch;                      /* of the thread; 64-byte aligned */
} dy_product;

/* The units that this library was built for and this process may use. */
int32_t dy_has_unit(int32_t unit);

/* Positions from an output row to the next one: read in line, rows run on over the border. */
int32_t dy_row_of_positions(const dy_gemm *gemm, const dy_tensor *in, const dy_tensor *out);

void dy_multiply(const dy_product *product);

#endif
