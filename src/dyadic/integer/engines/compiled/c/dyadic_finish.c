#include "dyadic_finish.h"

#include "dyadic_lanes.h"

#ifdef DY_TILES

#define UNROLLED _Pragma("GCC unroll 4") for

enum { ANY = -1 };                         /* a type that is not known beforehand */
enum { FAR = 1 << 19 };                    /* bytes of outputs that do not stay near */

/* A channel of a segment's first pixel. */
static uint8_t *address(const dy_tensor *t, const dy_segment *s, int32_t channel)
{
    return dy_address(t, s->y, s->x) + channel * dy_size_of(t);
}

static int64_t step_of(const dy_tensor *t)
{
    return t->stride * dy_size_of(t);
}

/* ---- by high words, all channels of a pixel together ----------------------------------- */

static inline dy_target target_of(const dy_product *p, const dy_segment *s, int32_t channel,
                                  const int32_t vectors, int32_t output, int32_t lo, int32_t hi)
{
    const dy_tensor *t = &p->outputs[output];
    const int32_t lanes = dy_smaller(t->channels - channel, DY_LANES * vectors);
    dy_target to = dy_target_of(t->type, lanes, lo, hi);
    to.at = address(t, s, channel);
    to.step = step_of(t);
    return to;
}

/* One output of the codes and nothing else. */
static inline __attribute__((always_inline)) void
finish_plain(const dy_product *p, const dy_segment *s, int32_t channel, const int32_t vectors,
             const int shifted)
{
    const dy_lanes *lanes = &p->gemm->lanes;
    dy_target to = target_of(p, s, channel, vectors, 0, lanes->lo, lanes->hi);
    dy_constants k[DY_VECTORS];
    int32_t i, v;
    UNROLLED(v = 0; v < vectors; v++)
        k[v] = dy_constants_of(lanes, channel + DY_LANES * v);
    for (i = 0; i < s->count; i++) {
        const int32_t *sums = s->sums + i * s->step;
        dy_vector x[DY_VECTORS] = {{0}};
        UNROLLED(v = 0; v < vectors; v++)
            x[v] = dy_scale_high(dy_load(sums + DY_LANES * v), &k[v], shifted);
        dy_put(&to, to.type, vectors, x);
    }
}

/* Another output of the codes: themselves, or rescaled. */
typedef struct {
    dy_target to;
    dy_constants k;
    int32_t rescaled;
} output;

static inline output output_of(const dy_product *p, const dy_segment *s, int32_t channel,
                               const int32_t vectors, int32_t i)
{
    const dy_gemm *gemm = p->gemm;
    const int rescaled = gemm->outputs[i].lanes.b != NULL;
    const dy_lanes *lanes = rescaled ? &gemm->outputs[i].lanes : &gemm->lanes;
    const output o = {target_of(p, s, channel, vectors, i, rescaled ? lanes->lo : INT32_MIN,
                                rescaled ? lanes->hi : INT32_MAX),
                      dy_constants_of(lanes, 0), rescaled};
    return o;
}

static inline __attribute__((always_inline)) void
put_rescaled(output *o, const int32_t type, const int32_t vectors, const dy_vector x[DY_VECTORS])
{
    dy_vector y[DY_VECTORS];
    int32_t v;
    memcpy(y, x, sizeof y);
    if (type != ANY || o->rescaled)
        UNROLLED(v = 0; v < vectors; v++)
            y[v] = dy_scale_high(x[v], &o->k, 1);
    dy_put(&o->to, type == ANY ? o->to.type : type, vectors, y);
}

/* Adds a residual of a type and clamps; one or two rescaled outputs of known types, or up to three
 * of any kind. */
static inline __attribute__((always_inline)) void
finish_residual(const dy_product *p, const dy_segment *s, int32_t channel, const int32_t vectors,
                const int32_t type, const int32_t first, const int32_t second, int32_t outputs)
{
    const dy_gemm *gemm = p->gemm;
    const dy_vector lo = dy_set(gemm->lo), hi = dy_set(gemm->hi);
    const dy_vector code_lo = dy_set(gemm->lanes.lo), code_hi = dy_set(gemm->lanes.hi);
    const int32_t width = DY_LANES * dy_size_of(&p->residual);
    const uint8_t *from = gemm->add < 0 ? NULL : address(&p->residual, s, channel);
    output o0 = output_of(p, s, channel, vectors, 0);
    output o1 = outputs > 1 ? output_of(p, s, channel, vectors, 1) : o0;
    output o2 = outputs > 2 ? output_of(p, s, channel, vectors, 2) : o0;
    dy_constants k[DY_VECTORS];
    int32_t i, v;
    UNROLLED(v = 0; v < vectors; v++)
        k[v] = dy_constants_of(&gemm->lanes, channel + DY_LANES * v);
    for (i = 0; i < s->count; i++) {
        const int32_t *sums = s->sums + i * s->step;
        dy_vector x[DY_VECTORS] = {{0}};
        UNROLLED(v = 0; v < vectors; v++)
            x[v] = dy_limit(dy_scale_high(dy_load(sums + DY_LANES * v), &k[v], first == ANY),
                            code_lo, code_hi);
        if (from) {
            UNROLLED(v = 0; v < vectors; v++)
                x[v] = dy_limit(x[v] + dy_widen(type, from + v * width), lo, hi);
            from += step_of(&p->residual);
        }
        put_rescaled(&o0, first, vectors, x);
        if (outputs > 1)
            put_rescaled(&o1, second, vectors, x);
        if (outputs > 2)
            put_rescaled(&o2, ANY, vectors, x);
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
    static void finish_##BLOCKS(const dy_product *p, const dy_segment *s, int32_t channel)       \
    {                                                                                            \
        enum { VECTORS = BLOCKS * DY_PARTS };                                                    \
        const int32_t kind = kind_of(p);                                                         \
        if (kind == PLAIN)                                                                       \
            finish_plain(p, s, channel, VECTORS, 0);                                             \
        else if (kind == PLAIN_SHIFTED)                                                          \
            finish_plain(p, s, channel, VECTORS, 1);                                             \
        else if (kind == TO_U8)                                                                  \
            finish_residual(p, s, channel, VECTORS, DY_S16, DY_U8, ANY, 1);                      \
        else if (kind == TO_S16_AND_U8)                                                          \
            finish_residual(p, s, channel, VECTORS, DY_S16, DY_S16, DY_U8, 2);                   \
        else if (kind == TO_U8_AND_S16)                                                          \
            finish_residual(p, s, channel, VECTORS, DY_S16, DY_U8, DY_S16, 2);                   \
        else                                                                                     \
            finish_residual(p, s, channel, VECTORS, p->residual.type, ANY, ANY,                  \
                            p->gemm->output_count);                                              \
    }

DEFINE_FINISH(1)
#if DY_TILES_ARE_WIDE
DEFINE_FINISH(2)
DEFINE_FINISH(3)
DEFINE_FINISH(4)
#endif

static void finish_high(const dy_product *p, const dy_segment *s, int32_t channel, int32_t blocks)
{
    typedef void finish(const dy_product *p, const dy_segment *s, int32_t channel);
    static finish *const sizes[] = {
        finish_1,
#if DY_TILES_ARE_WIDE
        finish_2, finish_3, finish_4
#endif
    };
    sizes[blocks - 1](p, s, channel);
}

/* ---- with whole products, 16 channels after another ------------------------------------ */

/* x * b >> c, rounded and clamped, plus the other plane's product if `odd_b` is not NULL. */
static void rescale_block(const dy_lanes *lanes, int32_t channel, int32_t x[DY_BLOCK],
                          const int32_t *odd, const int32_t *odd_b)
{
    const int32_t base = lanes->high ? 32 : 0; /* what c lacks */
    int32_t i;
    for (i = 0; i < DY_BLOCK; i++) {
        const int32_t lane = channel + i, c = lanes->c[lane] + base;
        const int64_t up = lanes->up ? lanes->up[lane] : 0;
        const int64_t more = odd_b ? (int64_t)odd[i] * odd_b[lane] : 0;
        const int64_t product = ((int64_t)x[i] << up) * lanes->b[lane] + more;
        x[i] = dy_clamp((product + dy_half(c)) >> c, lanes->lo, lanes->hi);
    }
}

/* The element that is a channel of the segment's pixel i. */
static int64_t element(const dy_tensor *t, const dy_segment *s, int32_t channel, int32_t i)
{
    return dy_index(t, s->y, s->x + i) + channel;
}

static void finish_block(const dy_product *p, const dy_segment *s, int32_t channel,
                         const int32_t *sums, const int32_t *odd)
{
    const dy_gemm *gemm = p->gemm;
    const int32_t count = dy_smaller(DY_BLOCK, p->outputs[0].channels - channel);
    int32_t i, n, e, x[DY_BLOCK], y[DY_BLOCK];
    for (i = 0; i < s->count; i++, sums += s->step, odd += s->step) {
        memcpy(x, sums, sizeof x);
        rescale_block(&gemm->lanes, channel, x, odd, gemm->odd ? gemm->odd_b : NULL);
        if (gemm->add >= 0) {
            dy_values(&p->residual, element(&p->residual, s, channel, i), y, count);
            for (e = 0; e < count; e++)
                x[e] = dy_clamp((int64_t)x[e] + y[e], gemm->lo, gemm->hi);
        }
        for (n = 0; n < gemm->output_count; n++) {
            const dy_lanes *lanes = &gemm->outputs[n].lanes;
            memcpy(y, x, sizeof y);
            if (lanes->b)
                rescale_block(lanes, 0, y, NULL, NULL);
            dy_put_values(p->outputs + n, element(p->outputs + n, s, channel, i), y, count);
        }
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

/* Fetches a tile's part of a tensor. Where a row ends, the guess at the next one's place may be wrong. */
static inline __attribute__((always_inline)) void
fetch(const dy_tensor *t, const dy_tile *tile, int32_t block, const int to_write)
{
    const dy_segment s = {tile->y, tile->x, 0, 0, NULL, NULL};
    const uint8_t *from = address(t, &s, DY_BLOCK * block);
    const int64_t step = step_of(t);
    const int32_t bytes = DY_BLOCK * tile->blocks * dy_size_of(t);
    int32_t i, done;
    for (i = 0; i < tile->pixels; i++, from += step)
        for (done = 0; done < bytes; done += 64) {
            if (to_write) /* the builtin wants constants */
                __builtin_prefetch(from + done, 1);
            else
                __builtin_prefetch(from + done, 0);
        }
}

void dy_finish_soon(const dy_product *p, const dy_tile *tile, int32_t block)
{
    int64_t bytes = 0;
    int32_t i;
    if (p->gemm->add >= 0)
        fetch(&p->residual, tile, block, 0);
    for (i = 0; i < p->gemm->output_count; i++)
        bytes += p->outputs[i].height * p->outputs[i].pitch * dy_size_of(p->outputs + i);
    for (i = 0; i < p->gemm->output_count && bytes >= FAR; i++)
        fetch(p->outputs + i, tile, block, 1);
}

void dy_finish_segment(const dy_product *p, const dy_segment *s, int32_t block, int32_t blocks)
{
    int32_t i;
    if (is_high(p->gemm))
        finish_high(p, s, DY_BLOCK * block, blocks);
    else
        for (i = 0; i < blocks; i++)
            finish_block(p, s, DY_BLOCK * (block + i), s->sums + DY_BLOCK * i,
                         s->odd + DY_BLOCK * i);
}

void dy_finish(const dy_product *p, const dy_tile *tile, int32_t block, const int32_t *sums,
               const int32_t *odd)
{
    const int32_t width = p->outputs[0].width;
    int32_t y = tile->y, x = tile->x, done = 0;
    for (; done < tile->pixels; y++, x = 0) {
        const dy_segment s = {y, x, dy_smaller(tile->pixels - done, width - x), DY_TILE_CHANNELS,
                              sums + done * DY_TILE_CHANNELS, odd + done * DY_TILE_CHANNELS};
        dy_finish_segment(p, &s, block, tile->blocks);
        done += s.count;
    }
}

#endif
