#define _GNU_SOURCE
#include "dyadic_gemm.h"

#include "dyadic_tiles.h"

#include <string.h>

/* ---- positions ------------------------------------------------------------------------- */

/* Positions from a row to the next: in place, rows run on over the input's border. */
static int32_t row_of_positions(const dy_gemm *gemm, const dy_tensor *in, const dy_tensor *out)
{
    return gemm->direct ? in->pitch / in->stride : out->width;
}

int32_t dy_positions(const dy_gemm *gemm, const dy_tensor *in, const dy_tensor *out)
{
    return (out->height - 1) * row_of_positions(gemm, in, out) + out->width;
}

#ifdef DY_TILES

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
    const int32_t size = in->type == DY_S16 ? 2 : 1, made = p->gemm->unit == DY_VNNI16 ? 2 : 1;
    const int32_t tap = in->channels * made;
    int32_t i, j;
    for (i = 0; i < w->height; i++) {
        const int32_t row = y * w->step_y - w->pad_y + i * w->dilation_y;
        const int inside = row >= 0 && row < in->height;
        const int32_t left = x * w->step_x - w->pad_x;
        const int whole = inside && w->dilation_x == 1 && in->stride == in->channels && left >= 0
                          && left + w->width <= in->width && size == made;
        if (whole) {
            memcpy(to, in->data + ((int64_t)row * in->pitch + (int64_t)left * in->stride) * size,
                   (size_t)(tap * w->width));
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

static __mmask16 mask_of(int32_t lanes)
{
    return (__mmask16)(lanes >= 16 ? 0xffff : (1 << lanes) - 1);
}

/* Constants of a vector of channels; the odd lanes' 64-bit products need theirs one lane lower. */
typedef struct {
    __m512i b, b_odd, half, half_odd, c, c_odd, shift, up, lo, hi;
} constants;

static constants constants_of(const dy_lanes *lanes, int32_t channel)
{
    const __m512i one = _mm512_set1_epi64(1), low = _mm512_set1_epi64(0xff);
    const __m512i c = _mm512_loadu_si512(lanes->c + channel);
    constants k;
    k.b = _mm512_loadu_si512(lanes->b + channel);
    k.b_odd = _mm512_srli_epi64(k.b, 32);
    k.c = _mm512_and_si512(c, low);
    k.c_odd = _mm512_srli_epi64(c, 32);
    k.half = _mm512_srli_epi64(_mm512_sllv_epi64(one, k.c), 1);
    k.half_odd = _mm512_srli_epi64(_mm512_sllv_epi64(one, k.c_odd), 1);
    k.shift = _mm512_sub_epi32(c, _mm512_set1_epi32(32));
    k.up = lanes->up ? _mm512_loadu_si512(lanes->up + channel) : _mm512_setzero_si512();
    k.lo = _mm512_set1_epi32(lanes->lo);
    k.hi = _mm512_set1_epi32(lanes->hi);
    return k;
}

static __m512i limit(__m512i x, __m512i lo, __m512i hi)
{
    return _mm512_min_epi32(_mm512_max_epi32(x, lo), hi);
}

/* The rule on 16 lanes, every c >= 32: the high words of acc * b + 2^(c - 1), shifted by c - 32.
 * `acc` is shifted up already. */
static inline __m512i rescale_high(__m512i acc, const constants *k)
{
    const __m512i even = _mm512_add_epi64(_mm512_mul_epi32(acc, k->b), k->half);
    const __m512i odd = _mm512_add_epi64(
        _mm512_mul_epi32(_mm512_shuffle_epi32(acc, _MM_PERM_DDBB), k->b_odd), k->half_odd);
    const __m512i high = _mm512_mask_shuffle_epi32(odd, 0x5555, even, _MM_PERM_DDBB);
    return limit(_mm512_srav_epi32(high, k->shift), k->lo, k->hi);
}

/* 64-bit sums of the even and the odd lanes, shifted and clamped, back to 16 lanes. */
static inline __m512i join(__m512i even, __m512i odd, const constants *k)
{
    const __m512i lo = _mm512_srai_epi64(_mm512_slli_epi64(k->lo, 32), 32);
    const __m512i hi = _mm512_srai_epi64(_mm512_slli_epi64(k->hi, 32), 32);
    even = _mm512_srav_epi64(_mm512_add_epi64(even, k->half), k->c);
    odd = _mm512_srav_epi64(_mm512_add_epi64(odd, k->half_odd), k->c_odd);
    even = _mm512_min_epi64(_mm512_max_epi64(even, lo), hi);
    odd = _mm512_min_epi64(_mm512_max_epi64(odd, lo), hi);
    return _mm512_mask_shuffle_epi32(even, 0xaaaa, odd, _MM_PERM_CCAA);
}

static inline __m512i upper(__m512i x)
{
    return _mm512_srli_epi64(x, 32);
}

static inline __m512i rescale(__m512i acc, const constants *k)
{
    return join(_mm512_mul_epi32(acc, k->b), _mm512_mul_epi32(upper(acc), k->b_odd), k);
}

static inline __m512i rescale_pair(__m512i acc, __m512i odd, __m512i odd_b, const constants *k)
{
    const __m512i low = _mm512_add_epi64(_mm512_mul_epi32(acc, k->b), _mm512_mul_epi32(odd, odd_b));
    const __m512i high = _mm512_add_epi64(_mm512_mul_epi32(upper(acc), k->b_odd),
                                          _mm512_mul_epi32(upper(odd), upper(odd_b)));
    return join(low, high, k);
}

static __m512i load_lanes(const dy_tensor *t, int64_t index, __mmask16 mask)
{
    if (t->type == DY_U8)
        return _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(mask, t->data + index));
    if (t->type == DY_S8)
        return _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(mask, t->data + index));
    if (t->type == DY_S16)
        return _mm512_cvtepi16_epi32(_mm256_maskz_loadu_epi16(mask, t->data + 2 * index));
    return _mm512_maskz_loadu_epi32(mask, t->data + 4 * index);
}

static void store_lanes(const dy_tensor *t, int64_t index, __mmask16 mask, __m512i x)
{
    if (t->type <= DY_S8)
        _mm_mask_storeu_epi8(t->data + index, mask, _mm512_cvtepi32_epi8(x));
    else if (t->type == DY_S16)
        _mm256_mask_storeu_epi16(t->data + 2 * index, mask, _mm512_cvtepi32_epi16(x));
    else
        _mm512_mask_storeu_epi32(t->data + 4 * index, mask, x);
}

/* Pixels of one output row, and the tile's rows that hold their sums. */
typedef struct {
    int32_t y, x, count;
    const int32_t *sums, *odd;
} segment;

/* The usual case: rescaled to one 8-bit output. */
static void finish_bytes(const dy_product *p, const segment *s, int32_t channel, __mmask16 mask)
{
    const dy_tensor *out = &p->outputs[0];
    const constants k = constants_of(&p->gemm->lanes, channel);
    uint8_t *to = out->data + (int64_t)s->y * out->pitch + (int64_t)s->x * out->stride + channel;
    int32_t i;
    for (i = 0; i < s->count; i++, to += out->stride) {
        const __m512i sums = _mm512_load_si512(s->sums + i * DY_TILE_CHANNELS);
        const __m512i codes = rescale_high(_mm512_sllv_epi32(sums, k.up), &k);
        _mm_mask_storeu_epi8(to, mask, _mm512_cvtepi32_epi8(codes));
    }
}

static int64_t index_of(const dy_tensor *t, const segment *s, int32_t i, int32_t channel)
{
    return (int64_t)s->y * t->pitch + (int64_t)(s->x + i) * t->stride + channel;
}

/* Sums to codes, in place. */
static void finish_sums(const dy_product *p, const segment *s, int32_t channel, int32_t *to)
{
    const dy_gemm *gemm = p->gemm;
    const constants k = constants_of(&gemm->lanes, channel);
    const __m512i odd_b = gemm->odd ? _mm512_loadu_si512(gemm->odd_b + channel) : k.b;
    int32_t i;
    for (i = 0; i < s->count; i++) {
        const __m512i sums = _mm512_load_si512(s->sums + i * DY_TILE_CHANNELS);
        __m512i codes;
        if (gemm->odd)
            codes = rescale_pair(sums, _mm512_load_si512(s->odd + i * DY_TILE_CHANNELS), odd_b, &k);
        else if (gemm->lanes.high)
            codes = rescale_high(_mm512_sllv_epi32(sums, k.up), &k);
        else
            codes = rescale(sums, &k);
        _mm512_store_si512(to + i * 16, codes);
    }
}

static void finish_add(const dy_product *p, const segment *s, int32_t channel, __mmask16 mask,
                       int32_t *codes)
{
    const __m512i lo = _mm512_set1_epi32(p->gemm->lo), hi = _mm512_set1_epi32(p->gemm->hi);
    int32_t i;
    for (i = 0; i < s->count; i++) {
        const __m512i other = load_lanes(&p->residual, index_of(&p->residual, s, i, channel), mask);
        const __m512i sum = _mm512_add_epi32(_mm512_load_si512(codes + i * 16), other);
        _mm512_store_si512(codes + i * 16, limit(sum, lo, hi));
    }
}

static void finish_output(const dy_product *p, int32_t output, const segment *s, int32_t channel,
                          __mmask16 mask, const int32_t *codes)
{
    const dy_tensor *out = &p->outputs[output];
    const dy_lanes *lanes = &p->gemm->outputs[output].lanes;
    const constants k = lanes->b ? constants_of(lanes, 0) : (constants){0};
    int32_t i;
    for (i = 0; i < s->count; i++) {
        __m512i x = _mm512_load_si512(codes + i * 16);
        if (lanes->b)
            x = lanes->high ? rescale_high(_mm512_sllv_epi32(x, k.up), &k) : rescale(x, &k);
        store_lanes(out, index_of(out, s, i, channel), mask, x);
    }
}

static void finish_segment(const dy_product *p, const segment *s, int32_t channel, int32_t lanes)
{
    const dy_gemm *gemm = p->gemm;
    const __mmask16 mask = mask_of(lanes);
    int32_t codes[DY_TILE_PIXELS * 16] __attribute__((aligned(64)));
    int32_t i;
    if (gemm->output_count == 1 && !gemm->outputs[0].lanes.b && gemm->add < 0 && !gemm->odd
        && gemm->lanes.high
        && p->outputs[0].type <= DY_S8) {
        finish_bytes(p, s, channel, mask);
        return;
    }
    finish_sums(p, s, channel, codes);
    if (gemm->add >= 0)
        finish_add(p, s, channel, mask, codes);
    for (i = 0; i < gemm->output_count; i++)
        finish_output(p, i, s, channel, mask, codes);
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

void dy_multiply(const dy_product *p)
{
    const dy_gemm *gemm = p->gemm;
    const int32_t size = p->in.type == DY_S16 ? 2 : 1;
    int32_t sums[DY_TILE_PIXELS * DY_TILE_CHANNELS] __attribute__((aligned(64)));
    int32_t odd[DY_TILE_PIXELS * DY_TILE_CHANNELS] __attribute__((aligned(64)));
    dy_tile t = {0};
    int32_t block, position;
    t.unit = gemm->unit;
    t.flip = gemm->flip;
    t.is_signed = gemm->is_signed;
    t.depth = gemm->words;
    t.stretches = gemm->stretches;
    t.stretch_count = gemm->stretch_count;
    t.step = gemm->direct ? (int64_t)p->in.stride * size : 4 * (int64_t)gemm->stretches[0].words;
    if (!gemm->direct)
        gather(p, p->scratch);
    dy_tiles_begin(t.unit);
    for (block = p->first_block; block < p->last_block; block += t.blocks) {
        t.blocks = dy_tile_blocks(t.unit, p->last_block - block);
        for (position = p->first; position < p->last; position += t.pixels) {
            t.pixels = dy_tile_pixels(t.unit, t.blocks, p->last - position);
            t.rows = gemm->direct ? p->in.data + position * t.step
                                  : p->scratch + (position - p->first) * t.step;
            dy_tile_sums(&t, gemm->weights, gemm->bias, block, sums);
            if (gemm->odd)
                dy_tile_sums(&t, gemm->odd, gemm->odd_bias, block, odd);
            finish(p, position, t.pixels, block, t.blocks, sums, odd);
        }
    }
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
