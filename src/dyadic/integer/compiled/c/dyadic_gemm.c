#define _GNU_SOURCE
#include "dyadic_gemm.h"

#include "dyadic_lanes.h"

#include <string.h>

/* ---- positions ------------------------------------------------------------------------- */

/* Positions from a row to the next: read in line, rows run on over the input's border. */
static int32_t row_of_positions(const dy_gemm *gemm, const dy_tensor *in, const dy_tensor *out)
{
    return gemm->read == DY_IN_LINE ? in->pitch / in->stride : out->width;
}

int32_t dy_positions(const dy_gemm *gemm, const dy_tensor *in, const dy_tensor *out)
{
    return (out->height - 1) * row_of_positions(gemm, in, out) + out->width;
}

#ifdef DY_TILES

enum { FEW_WEIGHTS = 1 << 17, PANEL = 96 }; /* bytes, positions */
enum { NO_TYPE = -1 };

static int32_t size_of(const dy_tensor *t)
{
    return t->type == DY_S32 ? 4 : t->type == DY_S16 ? 2 : 1;
}

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

/* Copies whole vectors: what is written behind the end is overwritten by what follows, and both
 * the arena and the scratch have room behind them. */
static inline void copy_ahead(uint8_t *to, const uint8_t *from, int32_t bytes)
{
    int32_t done;
    for (done = 0; done < bytes; done += 64)
        _mm512_storeu_si512(to + done, _mm512_loadu_si512(from + done));
}

/* One output pixel's input, taps x channels, in the row's type. */
static void gather_row(const dy_product *p, int32_t y, int32_t x, uint8_t *to)
{
    const dy_window *w = p->window;
    const dy_tensor *in = &p->in;
    const int32_t size = size_of(in), made = p->gemm->unit == DY_VNNI16 ? 2 : 1;
    const int32_t tap = in->channels * made;
    int32_t i, j;
    for (i = 0; i < w->height; i++) {
        const int32_t row = y * w->step_y - w->pad_y + i * w->dilation_y;
        const int inside = row >= 0 && row < in->height;
        const int32_t left = x * w->step_x - w->pad_x;
        const int whole = inside && w->dilation_x == 1 && in->stride == in->channels && left >= 0
                          && left + w->width <= in->width && size == made;
        if (whole) {
            const int64_t index = (int64_t)row * in->pitch + (int64_t)left * in->stride;
            copy_ahead(to, in->data + index * size, tap * w->width);
            to += tap * w->width;
            continue;
        }
        for (j = 0; j < w->width; j++, to += tap) {
            const int32_t column = left + j * w->dilation_x;
            const int64_t index = (int64_t)row * in->pitch + (int64_t)column * in->stride;
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
    const int32_t width = p->outputs[0].width, row = 4 * p->gemm->stretches[0].words;
    int32_t y = p->first / width, x = p->first % width, position;
    for (position = p->first; position < p->last; position++, to += row) {
        gather_row(p, y, x, to);
        if (++x == width) {
            x = 0;
            y++;
        }
    }
}

/* ---- what happens to the sums ---------------------------------------------------------- */

/* Pixels of one output row, and the tile's rows that hold their sums. */
typedef struct {
    int32_t y, x, count;
    const int32_t *sums, *odd;
} segment;

/* 16 channels of a tensor, from a segment's first pixel on. */
typedef struct {
    uint8_t *at;
    int64_t step;                          /* bytes to the next pixel */
    int32_t type;
} column;

static column column_of(const dy_tensor *t, const segment *s, int32_t channel)
{
    const int32_t size = size_of(t);
    const int64_t index = (int64_t)s->y * t->pitch + (int64_t)s->x * t->stride + channel;
    const column c = {t->data + index * size, (int64_t)t->stride * size, t->type};
    return c;
}

/* The usual case: rescaled to one output of 8 or 16 bits, clamped above as its type is. */
static inline __attribute__((always_inline)) void finish_plain(const dy_product *p,
                                                               const segment *s, int32_t channel,
                                                               __mmask16 mask, const int32_t type)
{
    const dy_constants k = dy_constants_of(&p->gemm->lanes, channel);
    column out = column_of(&p->outputs[0], s, channel);
    int32_t i;
    for (i = 0; i < s->count; i++, out.at += out.step) {
        const __m512i sums = _mm512_load_si512(s->sums + i * DY_TILE_CHANNELS);
        dy_store_saturated(type, out.at, mask, _mm512_max_epi32(dy_scale_high(sums, &k), k.lo));
    }
}

/* The usual residual: 16 bits are added, the sum is not clamped above, and its rescaling to the
 * type `first`, and perhaps to the type `second`, is stored. */
static inline __attribute__((always_inline)) void finish_residual(const dy_product *p,
                                                                  const segment *s,
                                                                  int32_t channel, __mmask16 mask,
                                                                  const int32_t first,
                                                                  const int32_t second)
{
    const dy_gemm *gemm = p->gemm;
    const dy_constants k = dy_constants_of(&gemm->lanes, channel);
    const dy_constants k0 = dy_constants_of(&gemm->outputs[0].lanes, 0);
    const dy_constants k1 = second == NO_TYPE ? k0 : dy_constants_of(&gemm->outputs[1].lanes, 0);
    const __m512i lo = _mm512_set1_epi32(gemm->lo);
    column from = column_of(&p->residual, s, channel), to0 = column_of(&p->outputs[0], s, channel);
    column to1 = second == NO_TYPE ? to0 : column_of(&p->outputs[1], s, channel);
    int32_t i;
    for (i = 0; i < s->count; i++) {
        const __m512i other = dy_load_lanes(DY_S16, from.at, mask);
        const __m512i sums = _mm512_load_si512(s->sums + i * DY_TILE_CHANNELS);
        const __m512i codes = dy_rescale_high(sums, &k);
        const __m512i x = _mm512_max_epi32(_mm512_add_epi32(codes, other), lo);
        dy_store_saturated(first, to0.at, mask, _mm512_max_epi32(dy_scale_high(x, &k0), k0.lo));
        if (second != NO_TYPE)
            dy_store_saturated(second, to1.at, mask,
                               _mm512_max_epi32(dy_scale_high(x, &k1), k1.lo));
        from.at += from.step;
        to0.at += to0.step;
        to1.at += to1.step;
    }
}

/* An output of its own scale, or the codes themselves. */
static inline void finish_output(const dy_lanes *lanes, const dy_constants *k, column *out,
                                 __mmask16 mask, __m512i codes)
{
    dy_store_lanes(out->type, out->at, mask, lanes->b ? dy_rescale(codes, k) : codes);
    out->at += out->step;
}

/* Everything in one pass: codes, the residual addition, up to three outputs. */
static void finish_all(const dy_product *p, const segment *s, int32_t channel, __mmask16 mask)
{
    const dy_gemm *gemm = p->gemm;
    const dy_output *o = gemm->outputs;
    const dy_constants k = dy_constants_of(&gemm->lanes, channel);
    const __m512i odd_b = gemm->odd ? _mm512_loadu_si512(gemm->odd_b + channel) : k.b;
    const __m512i lo = _mm512_set1_epi32(gemm->lo), hi = _mm512_set1_epi32(gemm->hi);
    dy_constants scales[DY_OUTPUTS];
    column outputs[DY_OUTPUTS], residual = {0};
    int32_t i;
    for (i = 0; i < gemm->output_count; i++) {
        scales[i] = o[i].lanes.b ? dy_constants_of(&o[i].lanes, 0) : k;
        outputs[i] = column_of(&p->outputs[i], s, channel);
    }
    if (gemm->add >= 0)
        residual = column_of(&p->residual, s, channel);
    for (i = 0; i < s->count; i++) {
        __m512i x = _mm512_load_si512(s->sums + i * DY_TILE_CHANNELS);
        if (gemm->odd)
            x = dy_rescale_pair(x, _mm512_load_si512(s->odd + i * DY_TILE_CHANNELS), odd_b, &k);
        else
            x = dy_rescale(x, &k);
        if (gemm->add >= 0) {
            const __m512i other = dy_load_lanes(residual.type, residual.at, mask);
            x = dy_limit(_mm512_add_epi32(x, other), lo, hi);
            residual.at += residual.step;
        }
        finish_output(&o[0].lanes, &scales[0], &outputs[0], mask, x);
        if (gemm->output_count > 1)
            finish_output(&o[1].lanes, &scales[1], &outputs[1], mask, x);
        if (gemm->output_count > 2)
            finish_output(&o[2].lanes, &scales[2], &outputs[2], mask, x);
    }
}

/* Whether the output is rescaled by high words and clamped above as its type is. */
static int is_usual(const dy_product *p, int32_t output)
{
    const dy_lanes *lanes = &p->gemm->outputs[output].lanes;
    return lanes->b && lanes->high && dy_saturates(p->outputs[output].type, lanes->hi);
}

static int is_plain(const dy_product *p)
{
    const dy_gemm *gemm = p->gemm;
    return gemm->output_count == 1 && !gemm->outputs[0].lanes.b && gemm->add < 0 && !gemm->odd
           && gemm->lanes.high && dy_saturates(p->outputs[0].type, gemm->lanes.hi);
}

static int is_residual(const dy_product *p)
{
    const dy_gemm *gemm = p->gemm;
    return gemm->add >= 0 && gemm->hi == INT32_MAX && !gemm->odd && gemm->lanes.high
           && p->residual.type == DY_S16 && is_usual(p, 0)
           && (gemm->output_count == 1 || (gemm->output_count == 2 && is_usual(p, 1)));
}

static void finish_segment(const dy_product *p, const segment *s, int32_t channel, int32_t lanes)
{
    const __mmask16 mask = dy_mask(lanes);
    const int32_t first = p->outputs[0].type;
    const int32_t second = p->gemm->output_count > 1 ? p->outputs[1].type : NO_TYPE;
    const int plain = is_plain(p), residual = is_residual(p);
    if (plain && first == DY_U8)
        finish_plain(p, s, channel, mask, DY_U8);
    else if (plain)
        finish_plain(p, s, channel, mask, DY_S16);
    else if (residual && first == DY_U8 && second == NO_TYPE)
        finish_residual(p, s, channel, mask, DY_U8, NO_TYPE);
    else if (residual && first == DY_S16 && second == DY_U8)
        finish_residual(p, s, channel, mask, DY_S16, DY_U8);
    else if (residual && first == DY_U8 && second == DY_S16)
        finish_residual(p, s, channel, mask, DY_U8, DY_S16);
    else
        finish_all(p, s, channel, mask);
}

/* Every run of the tile's positions that lies inside an output row. */
static void finish(const dy_product *p, int32_t position, int32_t count, int32_t block,
                   int32_t blocks, const int32_t *sums, const int32_t *odd)
{
    const dy_tensor *out = &p->outputs[0];
    const int32_t row = row_of_positions(p->gemm, &p->in, out);
    int32_t done = 0, i;
    while (done < count) {
        const int32_t y = (position + done) / row, x = (position + done) % row;
        const int32_t left = count - done < row - x ? count - done : row - x;
        segment s = {y, x, left < out->width - x ? left : out->width - x, NULL, NULL};
        for (i = 0; i < blocks && s.count > 0; i++) {
            const int32_t channel = (block + i) * 16;
            s.sums = sums + done * DY_TILE_CHANNELS + i * 16;
            s.odd = odd + done * DY_TILE_CHANNELS + i * 16;
            finish_segment(p, &s, channel, out->channels - channel);
        }
        done += left;
    }
}

/* ---- the product ----------------------------------------------------------------------- */

/* Brings the tile's part of a tensor closer while its sums are made; where a row ends, the guess
 * at the next one's place may be wrong. */
static void prefetch(const dy_tensor *t, const dy_product *p, const dy_tile *tile, int32_t position,
                     int32_t block)
{
    const int32_t row = row_of_positions(p->gemm, &p->in, &p->outputs[0]);
    const segment s = {position / row, position % row, 0, NULL, NULL};
    const column c = column_of(t, &s, 16 * block);
    int32_t i;
    for (i = 0; i < tile->pixels; i++)
        _mm_prefetch(c.at + i * c.step, _MM_HINT_T0);
}

/* A tile's sums and what becomes of them. */
static void multiply_tile(const dy_product *p, const dy_tile *t, int32_t position, int32_t block)
{
    const dy_gemm *gemm = p->gemm;
    int32_t sums[DY_TILE_PIXELS * DY_TILE_CHANNELS] __attribute__((aligned(64)));
    int32_t odd[DY_TILE_PIXELS * DY_TILE_CHANNELS] __attribute__((aligned(64)));
    if (gemm->add >= 0)
        prefetch(&p->residual, p, t, position, block);
    dy_tile_sums(t, gemm->weights, gemm->bias, block, sums);
    if (gemm->odd)
        dy_tile_sums(t, gemm->odd, gemm->odd_bias, block, odd);
    finish(p, position, t->pixels, block, t->blocks, sums, odd);
}

/* Where the first of a panel's positions finds its input. */
static const uint8_t *rows_from(const dy_product *p, const dy_tile *t, int32_t position)
{
    const int32_t width = p->outputs[0].width, y = position / width, x = position % width;
    if (p->gemm->read == DY_GATHERED)
        return p->scratch + (position - p->first) * t->step;
    if (p->gemm->read == DY_IN_LINE)
        return p->in.data + position * t->step;
    return p->in.data + (int64_t)y * p->window->step_y * p->in.pitch * size_of(&p->in)
           + x * t->step;
}

static void multiply_panel(const dy_product *p, dy_tile *t, int32_t first, int32_t last)
{
    const uint8_t *rows = rows_from(p, t, first);
    int32_t block, position;
    for (block = p->first_block; block < p->last_block; block += t->blocks) {
        t->blocks = dy_tile_blocks(t->unit, p->last_block - block);
        for (position = first; position < last; position += t->pixels) {
            t->pixels = dy_tile_pixels(t->unit, t->blocks, last - position);
            t->rows = rows + (position - first) * t->step;
            multiply_tile(p, t, position, block);
        }
    }
}

/* Few weights stay in the nearest cache while all channels of some positions are made, so that
 * outputs are written a line at a time; many weights are read once for all positions. Rows that
 * are not in line are panels of their own. */
static int32_t panel_end(const dy_product *p, int32_t first)
{
    const int64_t weights = (int64_t)(p->last_block - p->first_block) * p->gemm->words * 64;
    const int32_t width = p->outputs[0].width;
    int32_t end = weights <= FEW_WEIGHTS ? first + PANEL : p->last;
    if (p->gemm->read == DY_BY_ROWS)
        end = first - first % width + width;
    return end < p->last ? end : p->last;
}

void dy_multiply(const dy_product *p)
{
    const dy_gemm *gemm = p->gemm;
    const int64_t pixel = (int64_t)p->in.stride * size_of(&p->in);
    int32_t first;
    dy_tile t = {0};
    t.unit = gemm->unit;
    t.flip = gemm->flip;
    t.is_signed = gemm->is_signed;
    t.depth = gemm->words;
    t.stretches = gemm->stretches;
    t.stretch_count = gemm->stretch_count;
    t.step = gemm->read == DY_GATHERED ? 4 * gemm->stretches[0].words : pixel * p->window->step_x;
    if (gemm->read == DY_GATHERED)
        gather(p, p->scratch);
    dy_tiles_begin(t.unit);
    for (first = p->first; first < p->last; first = panel_end(p, first))
        multiply_panel(p, &t, first, panel_end(p, first));
    dy_tiles_end(t.unit);
}

#else

int32_t dy_has_unit(int32_t unit)
{
    (void)unit;
    return 0;
}

void dy_multiply(const dy_product *product)
{
    (void)product;
}

#endif
