#include "dyadic_gemm.h"

#include "dyadic_finish.h"

#ifdef DY_TILES

enum { FEW_WEIGHTS = 1 << 17, PANEL = 112 }; /* bytes, positions */

/* ---- gathering ------------------------------------------------------------------------- */

static void widen(const dy_tensor *in, int64_t index, int16_t *to)
{
    const int8_t *from = (const int8_t *)in->data + index;
    int32_t i;
    if (in->type == DY_U8)
        for (i = 0; i < in->channels; i++)
            to[i] = (uint8_t)from[i];
    else
        for (i = 0; i < in->channels; i++)
            to[i] = from[i];
}

/* One output pixel's input, taps x channels, in the row's type. */
static void gather_row(const dy_product *p, int32_t y, int32_t x, uint8_t *to)
{
    const dy_window *w = p->window;
    const dy_tensor *in = &p->in;
    const int32_t size = dy_size_of(in), made = p->gemm->unit == DY_DOT16 ? 2 : 1;
    const int32_t tap = in->channels * made;
    int32_t i, j;
    for (i = 0; i < w->height; i++) {
        const int32_t row = y * w->step_y - w->pad_y + i * w->dilation_y;
        const int inside = row >= 0 && row < in->height;
        const int32_t left = x * w->step_x - w->pad_x;
        const int whole = inside && w->dilation_x == 1 && in->stride == in->channels && left >= 0
                          && left + w->width <= in->width && size == made;
        if (whole) {
            const int64_t index = row * in->pitch + left * in->stride;
            dy_copy_ahead(to, in->data + index * size, tap * w->width);
            to += tap * w->width;
            continue;
        }
        for (j = 0; j < w->width; j++, to += tap) {
            const int32_t column = left + j * w->dilation_x;
            const int64_t index = row * in->pitch + column * in->stride;
            if (!inside || column < 0 || column >= in->width)
                memset(to, 0, (size_t)tap);
            else if (size == made)
                memcpy(to, in->data + index * size, (size_t)tap);
            else
                widen(in, index, (int16_t *)(void *)to);
        }
    }
}

static void gather(const dy_product *p, uint8_t *to)
{
    const int32_t width = p->outputs[0].width;
    int32_t y = p->first / width, x = p->first % width, position;
    for (position = p->first; position < p->last; position++, to += p->gemm->row) {
        gather_row(p, y, x, to);
        if (++x == width) {
            x = 0;
            y++;
        }
    }
}

/* ---- the product ----------------------------------------------------------------------- */

/* A tile's sums and what becomes of them. */
static void multiply_tile(const dy_product *p, dy_tile *t, int32_t block, int32_t pass)
{
    const dy_gemm *gemm = p->gemm;
    const int64_t at = (int64_t)block * gemm->words * DY_WORD_BYTES;
    int32_t sums[DY_TILE_PIXELS * DY_TILE_CHANNELS] __attribute__((aligned(64)));
    int32_t odd[DY_TILE_PIXELS * DY_TILE_CHANNELS] __attribute__((aligned(64)));
    dy_finish_soon(p, t, block);
    dy_tile_soon(t, (const uint8_t *)gemm->weights + at, pass);
    dy_tile_sums(t, (const uint8_t *)gemm->weights + at, gemm->bias + DY_BLOCK * block, sums);
    if (gemm->odd)
        dy_tile_sums(t, (const uint8_t *)gemm->odd + at, gemm->odd_bias + DY_BLOCK * block, odd);
    dy_finish(p, t, block, sums, odd);
}

/* Positions of an output row. */
static int32_t row_of(const dy_product *p)
{
    return p->outputs[0].width;
}

/* Whether positions are equally spaced in memory within a row alone. */
static int is_by_rows(const dy_product *p)
{
    const int64_t next = p->in.pitch * p->window->step_y;
    return p->gemm->in_place && next != row_of(p) * p->window->step_x * p->in.stride;
}

/* The first position from `position` on with which a row begins. */
static int32_t row_from(const dy_product *p, int32_t position)
{
    return (position + row_of(p) - 1) / row_of(p) * row_of(p);
}

/* The input of a tile's first position. */
static const uint8_t *rows_from(const dy_product *p, const dy_tile *t, int32_t position)
{
    if (!p->gemm->in_place)
        return p->scratch + (position - p->first) * t->step;
    return p->in.data + t->y * p->window->step_y * p->in.pitch * dy_size_of(&p->in)
           + t->x * t->step;
}

/* Blocks of one tile: of one group, and no more than there is room for. */
static int32_t blocks_from(const dy_product *p, int32_t block)
{
    const int32_t group = p->gemm->group_blocks;
    const int32_t left =
        p->gemm->unit == DY_DEPTHWISE ? p->last_block : group - block % group;
    return dy_smaller(dy_smaller(left, p->last_block - block), DY_TILE_BLOCKS);
}

static void multiply_panel(const dy_product *p, dy_tile *t, int32_t first, int32_t last)
{
    const int by_rows = is_by_rows(p);
    int32_t block, position, pass;
    for (block = p->first_block; block < p->last_block; block += t->blocks) {
        t->blocks = blocks_from(p, block);
        t->y = first / row_of(p);
        t->x = first % row_of(p);
        for (position = first, pass = 0; position < last; position += t->pixels) {
            const int32_t left = last - position;
            t->pixels = dy_tile_pixels(t->blocks,
                                       by_rows ? dy_smaller(left, row_of(p) - t->x) : left);
            t->rows = rows_from(p, t, position) + block / p->gemm->group_blocks * p->gemm->group_bytes;
            multiply_tile(p, t, block, pass++);
            for (t->x += t->pixels; t->x >= row_of(p); t->x -= row_of(p))
                t->y++;
        }
    }
}

/* Few weights stay in the nearest cache while all channels of some positions are made, so that
 * outputs are written a line at a time; many weights are read once for all positions. */
static int32_t panel_end(const dy_product *p, int32_t first)
{
    const int64_t weights = (int64_t)(p->last_block - p->first_block) * p->gemm->words * 64;
    if (weights > FEW_WEIGHTS)
        return p->last;
    return dy_smaller(is_by_rows(p) ? row_from(p, first + PANEL) : first + PANEL, p->last);
}

void dy_multiply(const dy_product *p)
{
    const dy_gemm *gemm = p->gemm;
    const int64_t pixel = p->in.stride * dy_size_of(&p->in);
    int32_t first;
    dy_tile t = {0};
    t.unit = gemm->unit;
    t.flip = gemm->flip;
    t.type = p->in.type;
    t.depth = gemm->words;
    t.stretches = gemm->stretches;
    t.stretch_count = gemm->stretch_count;
    t.step = gemm->in_place ? pixel * p->window->step_x : gemm->row;
    if (!gemm->in_place)
        gather(p, p->scratch);
    for (first = p->first; first < p->last; first = panel_end(p, first))
        multiply_panel(p, &t, first, panel_end(p, first));
}

#else

void dy_multiply(const dy_product *product)
{
    (void)product;
}

#endif
