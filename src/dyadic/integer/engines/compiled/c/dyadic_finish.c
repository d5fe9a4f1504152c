#include "dyadic_finish.h"

#include "dyadic_lanes.h"

#ifdef DY_TILES

/* Pixels of one output row, and the tile's rows that hold their sums. */
typedef struct {
    int32_t y, x, count;
    const int32_t *sums, *odd;
} segment;

/* A channel of a segment's first pixel. */
static uint8_t *address(const dy_tensor *t, const segment *s, int32_t channel)
{
    const int64_t index = s->y * t->pitch + s->x * t->stride + channel;
    return t->data + index * dy_size_of(t);
}

static int64_t step_of(const dy_tensor *t)
{
    return t->stride * dy_size_of(t);
}

/* ---- by high words, all channels of a pixel together ----------------------------------- */

enum { ANY = -1 };                         /* a type that is not known beforehand */

static inline dy_target target_of(const dy_product *p, const segment *s, int32_t channel,
                                  const int32_t blocks, int32_t output, int32_t lo, int32_t hi)
{
    const dy_tensor *t = &p->outputs[output];
    dy_target to = dy_target_of(t->type, dy_smaller(t->channels - channel, 16 * blocks), lo, hi);
    to.at = address(t, s, channel);
    to.step = step_of(t);
    return to;
}

/* One output of the codes and nothing else. */
static inline __attribute__((always_inline)) void
finish_plain(const dy_product *p, const segment *s, int32_t channel, const int32_t blocks,
             const int shifted)
{
    const dy_lanes *lanes = &p->gemm->lanes;
    dy_target to = target_of(p, s, channel, blocks, 0, lanes->lo, lanes->hi);
    dy_constants k[4];
    int32_t i, b;
    _Pragma("GCC unroll 4") for (b = 0; b < blocks; b++)
        k[b] = dy_high_constants_of(lanes, channel + 16 * b);
    for (i = 0; i < s->count; i++) {
        const int32_t *sums = s->sums + i * DY_TILE_CHANNELS;
        __m512i x[4] = {{0}, {0}, {0}, {0}};
        _Pragma("GCC unroll 4") for (b = 0; b < blocks; b++)
            x[b] = dy_scale_high(_mm512_load_si512(sums + 16 * b), &k[b], shifted);
        dy_put(&to, to.type, blocks, x);
    }
}

/* Another output of the codes: themselves, or rescaled. */
typedef struct {
    dy_target to;
    dy_constants k;
    int32_t rescaled;
} output;

static inline output output_of(const dy_product *p, const segment *s, int32_t channel,
                               const int32_t blocks, int32_t i)
{
    const dy_gemm *gemm = p->gemm;
    const int rescaled = gemm->outputs[i].lanes.b != NULL;
    const dy_lanes *lanes = rescaled ? &gemm->outputs[i].lanes : &gemm->lanes;
    const output o = {target_of(p, s, channel, blocks, i, rescaled ? lanes->lo : INT32_MIN,
                                rescaled ? lanes->hi : INT32_MAX),
                      dy_high_constants_of(lanes, 0), rescaled};
    return o;
}

static inline __attribute__((always_inline)) void
put_rescaled(output *o, const int32_t type, const int32_t blocks, const __m512i x[4])
{
    __m512i y[4] = {x[0], x[1], x[2], x[3]};
    int32_t b;
    if (type != ANY || o->rescaled)
        _Pragma("GCC unroll 4") for (b = 0; b < blocks; b++)
            y[b] = dy_scale_high(x[b], &o->k, 1);
    dy_put(&o->to, type == ANY ? o->to.type : type, blocks, y);
}

/* The codes of a pixel, clamped. */
static inline __attribute__((always_inline)) void
codes_of(__m512i x[4], const int32_t *sums, const dy_constants k[4], const int32_t blocks,
         const int shifted)
{
    int32_t b;
    _Pragma("GCC unroll 4") for (b = 0; b < blocks; b++)
        x[b] = dy_limit(dy_scale_high(_mm512_load_si512(sums + 16 * b), &k[b], shifted), k[0].lo,
                        k[0].hi);
}

/* Adds a residual of a type and clamps; one or two rescaled outputs of known types, or up to three
 * of any kind. */
static inline __attribute__((always_inline)) void
finish_residual(const dy_product *p, const segment *s, int32_t channel, const int32_t blocks,
                const int32_t type, const int32_t first, const int32_t second, int32_t outputs)
{
    const dy_gemm *gemm = p->gemm;
    const __m512i lo = _mm512_set1_epi32(gemm->lo), hi = _mm512_set1_epi32(gemm->hi);
    const int32_t size = dy_size_of(&p->residual);
    const uint8_t *from = gemm->add < 0 ? NULL : address(&p->residual, s, channel);
    output o0 = output_of(p, s, channel, blocks, 0);
    output o1 = outputs > 1 ? output_of(p, s, channel, blocks, 1) : o0;
    output o2 = outputs > 2 ? output_of(p, s, channel, blocks, 2) : o0;
    dy_constants k[4];
    int32_t i, b;
    _Pragma("GCC unroll 4") for (b = 0; b < blocks; b++)
        k[b] = dy_high_constants_of(&gemm->lanes, channel + 16 * b);
    for (i = 0; i < s->count; i++) {
        __m512i x[4] = {{0}, {0}, {0}, {0}};
        codes_of(x, s->sums + i * DY_TILE_CHANNELS, k, blocks, first == ANY);
        if (from) {
            _Pragma("GCC unroll 4") for (b = 0; b < blocks; b++)
                x[b] = _mm512_add_epi32(x[b], dy_load_all(type, from + 16 * b * size));
            _Pragma("GCC unroll 4") for (b = 0; b < blocks; b++)
                x[b] = dy_limit(x[b], lo, hi);
            from += step_of(&p->residual);
        }
        put_rescaled(&o0, first, blocks, x);
        if (outputs > 1)
            put_rescaled(&o1, second, blocks, x);
        if (outputs > 2)
            put_rescaled(&o2, ANY, blocks, x);
    }
}

/* What a product stores, as far as there is a loop of its own for it. */
enum { PLAIN, PLAIN_SHIFTED, TO_U8, TO_S16_AND_U8, TO_U8_AND_S16, OTHERWISE };

static int kind_of(const dy_product *p)
{
    const dy_gemm *gemm = p->gemm;
    const int32_t n = gemm->output_count, first = p->outputs[0].type;
    const int32_t second = n > 1 ? p->outputs[1].type : ANY;
    if (n == 1 && gemm->add < 0 && !gemm->outputs[0].lanes.b)
        return gemm->lanes.up ? PLAIN_SHIFTED : PLAIN;
    if (gemm->lanes.up || gemm->add < 0 || p->residual.type != DY_S16 || n > 2
        || !gemm->outputs[0].lanes.b)
        return OTHERWISE;
    if (first == DY_U8 && n == 1)
        return TO_U8;
    if (first == DY_S16 && second == DY_U8)
        return TO_S16_AND_U8;
    return first == DY_U8 && second == DY_S16 ? TO_U8_AND_S16 : OTHERWISE;
}

#define DEFINE_FINISH(BLOCKS)                                                                    \
    static void finish_##BLOCKS(const dy_product *p, const segment *s, int32_t channel)          \
    {                                                                                            \
        const int32_t kind = kind_of(p);                                                         \
        if (kind == PLAIN)                                                                       \
            finish_plain(p, s, channel, BLOCKS, 0);                                              \
        else if (kind == PLAIN_SHIFTED)                                                          \
            finish_plain(p, s, channel, BLOCKS, 1);                                              \
        else if (kind == TO_U8)                                                                  \
            finish_residual(p, s, channel, BLOCKS, DY_S16, DY_U8, ANY, 1);                       \
        else if (kind == TO_S16_AND_U8)                                                          \
            finish_residual(p, s, channel, BLOCKS, DY_S16, DY_S16, DY_U8, 2);                    \
        else if (kind == TO_U8_AND_S16)                                                          \
            finish_residual(p, s, channel, BLOCKS, DY_S16, DY_U8, DY_S16, 2);                    \
        else                                                                                     \
            finish_residual(p, s, channel, BLOCKS, p->residual.type, ANY, ANY,                   \
                            p->gemm->output_count);                                              \
    }

DEFINE_FINISH(1)
DEFINE_FINISH(2)
DEFINE_FINISH(3)
DEFINE_FINISH(4)

static void finish_high(const dy_product *p, const segment *s, int32_t channel, int32_t blocks)
{
    if (blocks == 1)
        finish_1(p, s, channel);
    else if (blocks == 2)
        finish_2(p, s, channel);
    else if (blocks == 3)
        finish_3(p, s, channel);
    else
        finish_4(p, s, channel);
}

/* ---- with whole products, 16 channels after another ------------------------------------ */

static void finish_block(const dy_product *p, const segment *s, int32_t channel)
{
    const dy_gemm *gemm = p->gemm;
    const dy_output *o = gemm->outputs;
    const __mmask16 mask = dy_mask(p->outputs[0].channels - channel);
    const dy_constants k = dy_constants_of(&gemm->lanes, channel);
    const __m512i odd_b = gemm->odd ? _mm512_loadu_si512(gemm->odd_b + channel) : k.b;
    const __m512i lo = _mm512_set1_epi32(gemm->lo), hi = _mm512_set1_epi32(gemm->hi);
    dy_constants scales[DY_OUTPUTS];
    int32_t i, n;
    for (n = 0; n < gemm->output_count; n++)
        scales[n] = o[n].lanes.b ? dy_constants_of(&o[n].lanes, 0) : k;
    for (i = 0; i < s->count; i++) {
        __m512i x = _mm512_load_si512(s->sums + i * DY_TILE_CHANNELS);
        if (gemm->odd)
            x = dy_rescale_pair(x, _mm512_load_si512(s->odd + i * DY_TILE_CHANNELS), odd_b, &k);
        else
            x = dy_rescale(x, &k);
        if (gemm->add >= 0) {
            const uint8_t *from = address(&p->residual, s, channel) + i * step_of(&p->residual);
            x = dy_limit(_mm512_add_epi32(x, dy_load_lanes(p->residual.type, from, mask)), lo, hi);
        }
        for (n = 0; n < gemm->output_count; n++)
            dy_store_lanes(p->outputs[n].type,
                           address(&p->outputs[n], s, channel) + i * step_of(&p->outputs[n]), mask,
                           o[n].lanes.b ? dy_rescale(x, &scales[n]) : x);
    }
}

/* ---- both ------------------------------------------------------------------------------ */

static int is_high(const dy_gemm *gemm)
{
    int32_t i;
    for (i = 0; i < gemm->output_count; i++)
        if (gemm->outputs[i].lanes.b && !gemm->outputs[i].lanes.high)
            return 0;
    return gemm->lanes.high && !gemm->odd;
}

/* Where a row ends, the guess at the next one's place may be wrong. */
void dy_finish_soon(const dy_product *p, const dy_tile *tile, int32_t block)
{
    const segment s = {tile->y, tile->x, 0, NULL, NULL};
    const uint8_t *from = address(&p->residual, &s, 16 * block);
    const int64_t step = step_of(&p->residual);
    const int32_t bytes = 16 * tile->blocks * dy_size_of(&p->residual);
    int32_t i, done;
    for (i = 0; i < tile->pixels; i++, from += step)
        for (done = 0; done < bytes; done += 64)
            _mm_prefetch(from + done, _MM_HINT_T0);
}

void dy_finish(const dy_product *p, const dy_tile *tile, int32_t block, const int32_t *sums,
               const int32_t *odd)
{
    const int high = is_high(p->gemm);
    int32_t y = tile->y, x = tile->x, done = 0, i;
    for (; done < tile->pixels; y++, x = 0) {
        const int32_t left = dy_smaller(tile->pixels - done, p->outputs[0].width - x);
        segment s = {y, x, dy_smaller(left, p->outputs[0].width - x), NULL, NULL};
        s.sums = sums + done * DY_TILE_CHANNELS;
        s.odd = odd + done * DY_TILE_CHANNELS;
        if (high)
            finish_high(p, &s, 16 * block, tile->blocks);
        for (i = 0; !high && i < tile->blocks; i++, s.sums += 16, s.odd += 16)
            finish_block(p, &s, 16 * (block + i));
        done += left;
    }
}

#endif
