/* Convolutions as matrix products on 8- or 16-bit dot products.
 *
 * A convolution is [pixels x depth] times [depth x channels]. The input is read in place,
 * border included, or gathered first.
 *
 * Weights are packed in the order in which tiles of sums read them: the blocks of a tile word by word,
 * [blocks / DY_TILE_BLOCKS][depth / 4][blocks of a tile][16][4] bytes (16-bit: [depth / 2], [2]). A
 * group of a grouped convolution is a product of its own, `group_blocks` of output channels that see
 * the input from `group_bytes` on, and begins a tile; small groups are taken together, with zeros
 * between them. In a depthwise convolution a word is two taps of a channel, and blocks are apart.
 *
 * By Winograd's algorithm F(m x m, 3 x 3) an output is a patch of m x m pixels: points^2 products,
 * whose weights follow one another for each tile's blocks. See dyadic_winograd.c.
 */
#ifndef DYADIC_GEMM_H
#define DYADIC_GEMM_H

#include "dyadic_kernels.h"

enum { DY_DOT8, DY_DOT16, DY_DEPTHWISE };  /* dy_gemm.unit */
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
    int32_t flip;                          /* bytes are of the other sign: 128 off, and so the bias */
    int32_t fold;                          /* one pixel an image: the batch is the pixels */
    int32_t limit;                         /* positions (patches) that a thread has room for */
    int32_t stretch_count, words;          /* words: depth in units of 4 bytes */
    int32_t blocks;                        /* output channels / 16, rounded up */
    int32_t group_blocks;                  /* that see the same input channels */
    int32_t patch, points;                 /* m of F(m x m, 3 x 3), or 0; products along an axis */
    int32_t factor;                        /* of all weights, left out of the patches' */
    int64_t group_bytes;                   /* from a group's input to the next one's */
    int64_t row;                           /* bytes of a gathered row, or of a transformed pixel */
    const dy_stretch *stretches;
    const void *weights, *odd;             /* odd: the plane of sqrt(2), or NULL */
    const int32_t *bias;                   /* [blocks * 16] */
    const int32_t *odd_bias, *odd_b;
    const uint8_t *shifts;                 /* [points^2], what makes bytes of a transformed input */
    const int32_t *patch_bias;             /* [points^2][blocks * 16] */
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
    int32_t first, last;                   /* positions, or patches, row by row */
    int32_t first_block, last_block;
    uint8_t *scratch;                      /* of the thread; 64-byte aligned */
} dy_product;

/* Rows or columns of patches. */
int32_t dy_patches(const dy_gemm *gemm, int32_t size);

/* Patches that share a pass over the weights. */
int32_t dy_patches_of_tile(const dy_gemm *gemm);

void dy_multiply(const dy_product *product);
void dy_winograd(const dy_product *product);

#endif
