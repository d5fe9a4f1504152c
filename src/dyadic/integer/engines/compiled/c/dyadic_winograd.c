/* Winograd's F(2 x 2, 3 x 3) and F(4 x 4, 3 x 3) on integers, exactly.
 *
 * Y = A' [(G w G') * (B' d B)] A  on integers is a multiple of the sum of products; all sums may wrap
 * modulo 2^32. F(2 x 2), points 0, 1, -1: 4 s fits 32 bits, s is 4 s >> 2. F(4 x 4) in 16 bits, points
 * 0, 1, -1, 2, -2: 576 s times the inverse of 9 is 64 s modulo 2^32, and fits 32 bits. F(4 x 4) in
 * bytes, points 0, 1, -1, i (three products of integers for a complex one): 16 s. Which layers the
 * bounds allow is decided in winograd.py; a factor of all weights is taken off before and put back at
 * the end. Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2015.
 */
#include "dyadic_finish.h"

#ifdef DY_TILES

#define UNROLLED _Pragma("GCC unroll 7") for

enum { INVERSE_OF_9 = 0x38e38e39 };        /* modulo 2^32 */
enum { PATCHES = 28, NEAR = 1 << 15, FAR = 1 << 18 }; /* patches, bytes */

int32_t dy_patches(const dy_gemm *gemm, int32_t size)
{
    return (size + gemm->patch - 1) / gemm->patch;
}

int32_t dy_patches_of_tile(const dy_gemm *gemm)
{
    return dy_tile_pixels(dy_smaller(DY_TILE_BLOCKS, gemm->blocks), PATCHES);
}

/* Products of a patch. */
static int32_t points_of(const dy_gemm *gemm)
{
    return gemm->points * gemm->points;
}

/* ---- the input ------------------------------------------------------------------------- */

/* Where the rows or columns of a patch's input are, from `begin` on, in bytes from the tensor's pixel
 * (0, 0). What is beyond the border matters to no output that is stored; the last one stands in for
 * it. */
static void place(int32_t begin, int32_t side, int32_t last, int64_t step, int64_t places[6])
{
    int32_t i;
    for (i = 0; i < side; i++)
        places[i] = dy_smaller(begin + i, last) * step;
}

static inline __attribute__((always_inline)) void
transform_bytes(const int32_t points, const dy_bytes *d, dy_bytes *to, const int32_t t)
{
    if (points == 4) {
        to[0] = d[0] - d[2];
        to[t] = d[1] + d[2];
        to[2 * t] = d[2] - d[1];
        to[3 * t] = d[1] - d[3];
    } else {
        const dy_bytes odd = d[1] + d[3], even = d[2] + d[4], u = d[4] - d[2], v = d[3] - d[1];
        to[0] = d[0] - d[4];
        to[t] = even + odd;
        to[2 * t] = even - odd;
        to[3 * t] = u + v;
        to[4 * t] = v - u;
        to[5 * t] = v;
        to[6 * t] = d[5] - d[1];
    }
}

/* One vector of a patch's channels; its points are `apart`. */
static inline __attribute__((always_inline)) void
input_bytes_of(const int32_t points, const uint8_t *from, const int64_t *rows,
               const int64_t *columns, const uint8_t *shifts, uint8_t *to, int64_t apart)
{
    const int32_t side = points == 4 ? 4 : 6;
    dy_bytes d[6], half[42], made[7];
    int32_t i, j;
    UNROLLED(j = 0; j < side; j++)
    {
        UNROLLED(i = 0; i < side; i++)
            memcpy(d + i, from + rows[i] + columns[j], sizeof *d);
        transform_bytes(points, d, half + j, side);
    }
    UNROLLED(i = 0; i < points; i++)
    {
        transform_bytes(points, half + side * i, made, 1);
        UNROLLED(j = 0; j < points; j++)
        {
            made[j] += shifts[points * i + j];
            memcpy(to + (points * i + j) * apart, made + j, sizeof *made);
        }
    }
}

static void input_bytes(int32_t points, const uint8_t *from, const int64_t *rows,
                        const int64_t *columns, const uint8_t *shifts, uint8_t *to, int64_t apart)
{
    if (points == 4)
        input_bytes_of(4, from, rows, columns, shifts, to, apart);
    else
        input_bytes_of(7, from, rows, columns, shifts, to, apart);
}

static inline void transform_shorts(dy_shorts *d, const int32_t s)
{
    const dy_shorts d0 = d[0], d1 = d[s], d2 = d[2 * s], d3 = d[3 * s], d4 = d[4 * s];
    const dy_shorts even = d4 - (d2 << 2), odd = d3 - (d1 << 2);
    const dy_shorts near = d4 - d2, far = (d3 - d1) << 1;
    d[0] = ((d0 - d2) << 2) + near;
    d[s] = even + odd;
    d[2 * s] = even - odd;
    d[3 * s] = near + far;
    d[4 * s] = near - far;
    d[5 * s] = ((d1 - d3) << 2) + d[5 * s] - d3;
}

static inline dy_shorts load_shorts(const int32_t type, const uint8_t *from)
{
    typedef uint8_t unsigned_bytes __attribute__((vector_size(2 * DY_LANES)));
    typedef int8_t signed_bytes __attribute__((vector_size(2 * DY_LANES)));
    unsigned_bytes bytes;
    dy_shorts x;
    if (type == DY_S16) {
        memcpy(&x, from, sizeof x);
        return x;
    }
    memcpy(&bytes, from, sizeof bytes);
    return type == DY_U8 ? __builtin_convertvector(bytes, dy_shorts)
                         : __builtin_convertvector((signed_bytes)bytes, dy_shorts);
}

static inline __attribute__((always_inline)) void
input_shorts_of(const int32_t type, const uint8_t *from, const int64_t rows[6],
                const int64_t columns[6], uint8_t *to, int64_t apart)
{
    dy_shorts d[36];
    int32_t i, j;
    UNROLLED(j = 0; j < 6; j++)
    {
        UNROLLED(i = 0; i < 6; i++)
            d[6 * i + j] = load_shorts(type, from + rows[i] + columns[j]);
        transform_shorts(d + j, 6);
    }
    UNROLLED(i = 0; i < 6; i++)
    {
        transform_shorts(d + 6 * i, 1);
        UNROLLED(j = 0; j < 6; j++)
            memcpy(to + (6 * i + j) * apart, d + 6 * i + j, sizeof *d);
    }
}

static void input_shorts(int32_t type, const uint8_t *from, const int64_t rows[6],
                         const int64_t columns[6], uint8_t *to, int64_t apart)
{
    if (type == DY_U8)
        input_shorts_of(DY_U8, from, rows, columns, to, apart);
    else if (type == DY_S8)
        input_shorts_of(DY_S8, from, rows, columns, to, apart);
    else
        input_shorts_of(DY_S16, from, rows, columns, to, apart);
}

/* Bytes from a patch's transformed input to the next one's: not a power of two, or patches would
 * meet in the same few lines of the cache. */
static int64_t patch_bytes(const dy_gemm *gemm)
{
    return points_of(gemm) * gemm->row + 64;
}

/* A patch's input from the pixels at rows x columns. */
static void transform_patch(const dy_product *p, const int64_t rows[6], const int64_t columns[6],
                            uint8_t *to)
{
    const dy_gemm *gemm = p->gemm;
    const int32_t made = gemm->unit == DY_DOT16 ? 2 : 1, size = dy_size_of(&p->in);
    int64_t done;
    DY_REQUIRE(made >= size);
    for (done = 0; done < gemm->row; done += (int64_t)sizeof(dy_vector)) {
        const uint8_t *from = p->in.data + done / made * size;
        if (gemm->unit == DY_DOT8)
            input_bytes(gemm->points, from, rows, columns, gemm->shifts, to + done, gemm->row);
        else
            input_shorts(p->in.type, from, rows, columns, to + done, gemm->row);
    }
}

/* Patches first .. first + count - 1, each [(m + 2)^2][row]. */
static void transform_input(const dy_product *p, int32_t first, int32_t count, uint8_t *to)
{
    const dy_gemm *gemm = p->gemm;
    const dy_tensor *in = &p->in;
    const int32_t m = gemm->patch, across = dy_patches(gemm, p->outputs[0].width);
    const int32_t pad_y = p->window->pad_y, pad_x = p->window->pad_x, size = dy_size_of(in);
    int32_t y = first / across, x = first % across, i;
    int64_t rows[6], columns[6];
    for (i = 0; i < count; i++, x++, to += patch_bytes(gemm)) {
        if (x == across) {
            x = 0;
            y++;
        }
        if (i == 0 || x == 0)
            place(y * m - pad_y, m + 2, in->height + pad_y - 1, in->pitch * size, rows);
        place(x * m - pad_x, m + 2, in->width + pad_x - 1, in->stride * size, columns);
        transform_patch(p, rows, columns, to);
    }
}

/* ---- products -------------------------------------------------------------------------- */

/* Whole tiles of patches whose sums are near; or, where a tile's weights are far, as many as share
 * them. */
static int32_t patches_at_once(const dy_gemm *gemm, int32_t blocks)
{
    const int32_t tile = dy_tile_pixels(blocks, PATCHES), points = points_of(gemm);
    const int32_t bytes = points * blocks * DY_WORD_BYTES;
    const int32_t room = (bytes * gemm->words > FAR / 2 ? FAR : NEAR) / bytes;
    return room < tile ? tile : dy_smaller(room, PATCHES) / tile * tile;
}

/* Patches to [(m + 2)^2][count][DY_TILE_CHANNELS] of a tile's blocks. */
static void multiply(const dy_product *p, dy_tile *t, int32_t count, int32_t block,
                     const uint8_t *input, int32_t *sums)
{
    const dy_gemm *gemm = p->gemm;
    const int32_t points = points_of(gemm);
    const int64_t depth = (int64_t)gemm->words * DY_WORD_BYTES;
    const uint8_t *weights = (const uint8_t *)gemm->weights + points * block * depth;
    const int32_t *bias = gemm->patch_bias + DY_BLOCK * block;
    int32_t i, done, pass;
    for (i = 0; i < points; i++, weights += t->blocks * depth, bias += DY_BLOCK * gemm->blocks)
        for (done = pass = 0; done < count; done += t->pixels, sums += t->pixels * DY_TILE_CHANNELS) {
            t->pixels = dy_tile_pixels(t->blocks, count - done);
            t->rows = input + done * t->step + i * gemm->row;
            dy_tile_soon(t, weights, pass++);
            dy_tile_sums(t, weights, bias, sums);
        }
}

/* ---- the output ------------------------------------------------------------------------ */

/* A' along an axis; `s` and `to` are what lies between two points, between two pixels. */
static inline __attribute__((always_inline)) void
output(const int32_t points, const dy_vector *m, const int32_t s, dy_vector *y, const int32_t to)
{
    const dy_vector one = m[s] + m[2 * s], one_odd = m[s] - m[2 * s];
    if (points == 4) {
        y[0] = m[0] + one;
        y[to] = one_odd - m[3 * s];
    } else if (points == 6) { /* m's last point has G scaled by 6 only */
        const dy_vector two = m[3 * s] + m[4 * s], two_odd = m[3 * s] - m[4 * s];
        y[0] = m[0] + one + two;
        y[to] = one_odd + (two_odd << 1);
        y[2 * to] = one + (two << 2);
        y[3 * to] = one_odd + (two_odd << 3) + (m[5 * s] << 2);
    } else {
        const dy_vector i = (m[3 * s] + m[5 * s]) << 1, i_odd = (m[4 * s] + m[5 * s]) << 1;
        y[0] = (m[0] << 2) + one + i;
        y[to] = one_odd + i_odd;
        y[2 * to] = one - i;
        y[3 * to] = one_odd - i_odd + (m[6 * s] << 2);
    }
}

/* One vector of a patch's channels; `row` is what lies between two rows of the output. */
static inline __attribute__((always_inline)) void
output_of(const int32_t points, const int32_t *sums, int64_t apart, int32_t factor, dy_vector bias,
          int32_t *to, int64_t row)
{
    const int32_t patch = points == 4 ? 2 : 4;
    dy_vector m[7], half[28], y[4];
    int32_t i, j;
    UNROLLED(i = 0; i < points; i++)
    {
        UNROLLED(j = 0; j < points; j++)
            m[j] = dy_load(sums + (points * i + j) * apart);
        output(points, m, 1, half + patch * i, 1);
    }
    UNROLLED(j = 0; j < patch; j++)
    {
        output(points, half + j, patch, y, 1);
        UNROLLED(i = 0; i < patch; i++)
        {
            y[i] = points == 6 ? (y[i] * INVERSE_OF_9) >> 6 : y[i] >> (points == 4 ? 2 : 4);
            if (factor != 1)
                y[i] *= factor;
            dy_store(to + i * row + j * DY_TILE_CHANNELS, y[i] + bias);
        }
    }
}

/* Patches of one row of patches, from `first` on, to [m][m * count][DY_TILE_CHANNELS], and further to
 * the outputs. */
static void finish_run(const dy_product *p, const dy_tile *t, int32_t first, int32_t count,
                       int32_t block, const int32_t *sums, int64_t apart, int32_t *made)
{
    const dy_gemm *gemm = p->gemm;
    const dy_tensor *out = p->outputs;
    const int32_t across = dy_patches(gemm, out->width), m = gemm->patch;
    const int64_t row = (int64_t)m * count * DY_TILE_CHANNELS;
    const int32_t y = first / across * m, x = first % across * m;
    int32_t i, v;
    for (i = 0; i < count; i++)
        for (v = 0; v < t->blocks * DY_PARTS; v++) {
            const dy_vector bias = dy_load(gemm->bias + DY_BLOCK * block + DY_LANES * v);
            const int32_t *from = sums + i * DY_TILE_CHANNELS + DY_LANES * v;
            int32_t *to = made + m * i * DY_TILE_CHANNELS + DY_LANES * v;
            if (gemm->points == 4)
                output_of(4, from, apart, gemm->factor, bias, to, row);
            else if (gemm->points == 6)
                output_of(6, from, apart, gemm->factor, bias, to, row);
            else
                output_of(7, from, apart, gemm->factor, bias, to, row);
        }
    for (i = 0; i < m && y + i < out->height; i++) {
        const int32_t *from = made + i * row;
        const dy_segment s = {y + i, x, dy_smaller(m * count, out->width - x), DY_TILE_CHANNELS,
                              from, from};
        dy_finish_segment(p, &s, block, t->blocks);
    }
}

static void finish(const dy_product *p, const dy_tile *t, int32_t first, int32_t count,
                   int32_t block, const int32_t *sums, int32_t *made)
{
    const int32_t across = dy_patches(p->gemm, p->outputs[0].width);
    int32_t done, run;
    for (done = 0; done < count; done += run) {
        run = dy_smaller(count - done, across - (first + done) % across);
        finish_run(p, t, first + done, run, block, sums + done * DY_TILE_CHANNELS,
                   (int64_t)count * DY_TILE_CHANNELS, made);
    }
}

/* All blocks of the patches [first, first + count), whose transformed input is in the scratch. */
static void all_blocks(const dy_product *p, dy_tile *t, int32_t first, int32_t count)
{
    int32_t *sums = (int32_t *)(void *)(p->scratch + p->gemm->limit * t->step);
    int32_t *made = sums + points_of(p->gemm) * PATCHES * DY_TILE_CHANNELS;
    int32_t block, done, some;
    for (block = p->first_block; block < p->last_block; block += t->blocks) {
        t->blocks = dy_smaller(DY_TILE_BLOCKS, p->last_block - block);
        for (done = 0; done < count; done += some) {
            some = dy_smaller(patches_at_once(p->gemm, t->blocks), count - done);
            multiply(p, t, some, block, p->scratch + done * t->step, sums);
            finish(p, t, first + done, some, block, sums, made);
        }
    }
}

/* The scratch holds transformed input, sums, and outputs of one tile's channels. */
void dy_winograd(const dy_product *p)
{
    const dy_gemm *gemm = p->gemm;
    int32_t first, count;
    dy_tile t = {0};
    t.unit = gemm->unit;
    t.depth = gemm->words;
    t.stretches = gemm->stretches;
    t.stretch_count = gemm->stretch_count;
    t.step = patch_bytes(gemm);
    for (first = p->first; first < p->last; first += count) {
        count = dy_smaller(gemm->limit, p->last - first);
        transform_input(p, first, count, p->scratch);
        all_blocks(p, &t, first, count);
    }
}

#else

int32_t dy_patches(const dy_gemm *gemm, int32_t size)
{
    (void)gemm;
    return size;
}

int32_t dy_patches_of_tile(const dy_gemm *gemm)
{
    (void)gemm;
    return 1;
}

void dy_winograd(const dy_product *product)
{
    (void)product;
}

#endif
