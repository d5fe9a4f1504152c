#include "dyadic_kernels.h"

#include <string.h>

enum { CHUNK = 64 }; /* elements that an operation without weights handles at a time */

#define WORD 31 /* bits of the low word of a wide accumulator */
#define LOW_WORD (((int64_t)1 << WORD) - 1)

/* ---- integers in memory ---------------------------------------------------------------- */

static int64_t at(const dy_tensor *t, int32_t y, int32_t x)
{
    return (int64_t)y * t->pitch + (int64_t)x * t->stride;
}

/* memcpy, because the arena's bytes are reused by tensors of different types. */
static void load(const dy_tensor *t, int64_t index, int32_t *to, int32_t count)
{
    const uint8_t *from = t->data;
    int32_t i;
    if (t->type == DY_U8) {
        for (i = 0; i < count; i++)
            to[i] = from[index + i];
    } else if (t->type == DY_S8) {
        for (i = 0; i < count; i++) {
            int8_t value;
            memcpy(&value, from + index + i, sizeof value);
            to[i] = value;
        }
    } else if (t->type == DY_S16) {
        for (i = 0; i < count; i++) {
            int16_t value;
            memcpy(&value, from + 2 * (index + i), sizeof value);
            to[i] = value;
        }
    } else {
        memcpy(to, from + 4 * index, (uint32_t)count * sizeof *to);
    }
}

static void store(const dy_tensor *t, int64_t index, const int32_t *from, int32_t count)
{
    uint8_t *to = t->data;
    int32_t i;
    if (t->type == DY_U8 || t->type == DY_S8) {
        for (i = 0; i < count; i++)
            to[index + i] = (uint8_t)from[i];
    } else if (t->type == DY_S16) {
        for (i = 0; i < count; i++) {
            int16_t value = (int16_t)from[i];
            memcpy(to + 2 * (index + i), &value, sizeof value);
        }
    } else {
        memcpy(to + 4 * index, from, (uint32_t)count * sizeof *from);
    }
}

static int32_t clamp(int64_t value, int32_t lo, int32_t hi)
{
    return (int32_t)(value < lo ? lo : value > hi ? hi : value);
}

static int32_t smaller(int32_t x, int32_t y)
{
    return x < y ? x : y;
}

/* ---- the rule -------------------------------------------------------------------------- */

/* 2^(c - 1), and 0 for c = 0. */
static int64_t half(uint8_t c)
{
    return ((int64_t)1 << c) >> 1;
}

/* |acc| <= 2^31: the product and the sum fit 64 bits. */
static int32_t rescale(int64_t acc, int64_t b, uint8_t c, int32_t lo, int32_t hi)
{
    return clamp((acc * b + half(c)) >> c, lo, hi);
}

static int32_t rescale_pair(int64_t acc, int64_t b, int64_t odd, int64_t odd_b, uint8_t c,
                            int32_t lo, int32_t hi)
{
    return clamp((acc * b + odd * odd_b + half(c)) >> c, lo, hi);
}

/* acc = high * 2^31 + low, twice; c >= 31. The bits that the low products drop meet in `carry`,
 * so the nested floors equal the floor of the whole sum. */
static int32_t rescale_wide(int64_t acc, int64_t b, int64_t odd, int64_t odd_b, uint8_t c,
                            int32_t lo, int32_t hi)
{
    const int64_t low = (acc & LOW_WORD) * b, odd_low = (odd & LOW_WORD) * odd_b;
    const int64_t carry = ((low & LOW_WORD) + (odd_low & LOW_WORD) + half(c)) >> WORD;
    const int64_t high = (acc >> WORD) * b + (odd >> WORD) * odd_b;
    const int64_t sum = high + (low >> WORD) + (odd_low >> WORD) + carry;
    return clamp(sum >> (c > WORD ? c - WORD : 0), lo, hi);
}

/* ---- convolution ----------------------------------------------------------------------- */

/* The input that output pixels x .. x + DY_PIXELS - 1 of row y see, [pixels][taps * group_in];
 * zeros where the window leaves the image. */
static void gather(const dy_conv *conv, const dy_tensor *in, int32_t group, int32_t y, int32_t x,
                   int32_t pixels, int32_t *patch)
{
    const dy_window *w = &conv->window;
    const int32_t count = conv->group_in;
    int32_t p, i, j;
    for (p = 0; p < DY_PIXELS; p++)
        for (i = 0; i < w->height; i++)
            for (j = 0; j < w->width; j++, patch += count) {
                const int32_t row = y * w->step_y - w->pad_y + i * w->dilation_y;
                const int32_t column = (x + p) * w->step_x - w->pad_x + j * w->dilation_x;
                const int inside = p < pixels && row >= 0 && row < in->height && column >= 0
                                   && column < in->width;
                if (inside)
                    load(in, at(in, row, column) + (int64_t)group * count, patch, count);
                else
                    memset(patch, 0, (uint32_t)count * sizeof *patch);
            }
}

/* acc[p][o] += sum over k of patch[p][k] * weights[k][o] */
#define DEFINE_MULTIPLY(NAME, ACC, WEIGHT)                                                       \
    static void NAME(ACC acc[DY_PIXELS][DY_BLOCK], const int32_t *patch, int32_t depth,          \
                     const WEIGHT *weights)                                                      \
    {                                                                                            \
        int32_t k, p, o;                                                                         \
        for (k = 0; k < depth; k++, weights += DY_BLOCK)                                         \
            for (p = 0; p < DY_PIXELS; p++) {                                                    \
                const ACC x = patch[p * depth + k];                                              \
                for (o = 0; o < DY_BLOCK; o++)                                                   \
                    acc[p][o] += x * weights[o];                                                 \
            }                                                                                    \
    }

DEFINE_MULTIPLY(multiply_s8, int32_t, int8_t)
DEFINE_MULTIPLY(multiply_s16, int32_t, int16_t)
DEFINE_MULTIPLY(multiply_s64, int64_t, int64_t)

/* The same with weights +-2^e or 0: a shift, a mask and a conditional negation, no product.
 * Unsigned, so that a negative x shifts as two's complement does; the bound on the accumulator
 * says that the sum comes back into its range. */
#define DEFINE_SHIFT(NAME, ACC, UNSIGNED)                                                        \
    static void NAME(ACC acc[DY_PIXELS][DY_BLOCK], const int32_t *patch, int32_t depth,          \
                     const uint8_t *weights)                                                     \
    {                                                                                            \
        const int32_t *from[DY_PIXELS];                                                          \
        int32_t k, p, o;                                                                         \
        for (p = 0; p < DY_PIXELS; p++)                                                          \
            from[p] = p == 0 ? patch : from[p - 1] + depth;                                      \
        for (k = 0; k < depth; k++, weights += DY_BLOCK)                                         \
            for (p = 0; p < DY_PIXELS; p++) {                                                    \
                const UNSIGNED x = (UNSIGNED)(ACC)from[p][k];                                    \
                for (o = 0; o < DY_BLOCK; o++) {                                                 \
                    const UNSIGNED shift = weights[o] & DY_EXPONENT;                             \
                    const UNSIGNED keep = weights[o] & DY_ZERO ? 0 : ~(UNSIGNED)0;               \
                    const UNSIGNED flip = weights[o] & DY_NEGATIVE ? ~(UNSIGNED)0 : 0;           \
                    const UNSIGNED term = ((x << shift) & keep) ^ flip;                          \
                    acc[p][o] = (ACC)((UNSIGNED)acc[p][o] + term - flip);                        \
                }                                                                                \
            }                                                                                    \
    }

DEFINE_SHIFT(shift_narrow, int32_t, uint32_t)
DEFINE_SHIFT(shift_wide, int64_t, uint64_t)

/* Where the weights of block `index` begin; a block is depth * DY_BLOCK weights of one size. */
static const void *block_of(const dy_conv *conv, const void *plane, int64_t index, int32_t depth)
{
    static const int64_t size[] = {sizeof(int8_t), sizeof(int16_t), sizeof(int64_t), 1};
    return (const uint8_t *)plane + index * depth * DY_BLOCK * size[conv->form];
}

static void accumulate_narrow(const dy_conv *conv, const void *weights, const int32_t *patch,
                              int32_t depth, int32_t acc[DY_PIXELS][DY_BLOCK])
{
    if (conv->form == DY_WEIGHTS_S8)
        multiply_s8(acc, patch, depth, weights);
    else if (conv->form == DY_WEIGHTS_S16)
        multiply_s16(acc, patch, depth, weights);
    else
        shift_narrow(acc, patch, depth, weights);
}

static void accumulate_wide(const dy_conv *conv, const void *weights, const int32_t *patch,
                            int32_t depth, int64_t acc[DY_PIXELS][DY_BLOCK])
{
    if (conv->form == DY_WEIGHTS_S64)
        multiply_s64(acc, patch, depth, weights);
    else
        shift_wide(acc, patch, depth, weights);
}

/* What a block of output channels is made from. */
typedef struct {
    const dy_conv *conv;
    const int32_t *patch;
    int32_t depth;                         /* taps * group_in */
    int64_t block;                         /* index of the block's weights */
    int32_t channel, count;                /* first output channel, number of channels */
} tile;

static void tile_narrow(const tile *t, int32_t out[DY_PIXELS][DY_BLOCK])
{
    const dy_conv *conv = t->conv;
    const dy_scale *s = &conv->scale;
    int32_t acc[DY_PIXELS][DY_BLOCK] = {{0}}, odd[DY_PIXELS][DY_BLOCK] = {{0}};
    int32_t p, o;
    for (p = 0; p < DY_PIXELS; p++)
        for (o = 0; o < t->count; o++)
            acc[p][o] = (int32_t)conv->bias[t->channel + o];
    accumulate_narrow(conv, block_of(conv, conv->weights, t->block, t->depth), t->patch, t->depth,
                      acc);
    if (conv->odd)
        accumulate_narrow(conv, block_of(conv, conv->odd, t->block, t->depth), t->patch, t->depth,
                          odd);
    for (p = 0; p < DY_PIXELS; p++)
        for (o = 0; o < t->count; o++) {
            const int32_t i = t->channel + o, k = s->per_channel ? i : 0;
            out[p][o] = conv->odd ? rescale_pair(acc[p][o], s->b[k], odd[p][o], conv->odd_b[k],
                                                 s->c[k], s->lo, s->hi)
                                  : rescale(acc[p][o], s->b[k], s->c[k], s->lo, s->hi);
        }
}

static void tile_wide(const tile *t, int32_t out[DY_PIXELS][DY_BLOCK])
{
    const dy_conv *conv = t->conv;
    const dy_scale *s = &conv->scale;
    int64_t acc[DY_PIXELS][DY_BLOCK] = {{0}}, odd[DY_PIXELS][DY_BLOCK] = {{0}};
    int32_t p, o;
    for (p = 0; p < DY_PIXELS; p++)
        for (o = 0; o < t->count; o++)
            acc[p][o] = conv->bias[t->channel + o];
    accumulate_wide(conv, block_of(conv, conv->weights, t->block, t->depth), t->patch, t->depth,
                    acc);
    if (conv->odd)
        accumulate_wide(conv, block_of(conv, conv->odd, t->block, t->depth), t->patch, t->depth,
                        odd);
    for (p = 0; p < DY_PIXELS; p++)
        for (o = 0; o < t->count; o++) {
            const int32_t k = s->per_channel ? t->channel + o : 0;
            out[p][o] = rescale_wide(acc[p][o], s->b[k], odd[p][o], conv->odd ? conv->odd_b[k] : 0,
                                     s->c[k], s->lo, s->hi);
        }
}

static void convolve_pixels(const dy_conv *conv, const dy_tensor *in, const dy_tensor *out,
                            int32_t *patch, int32_t y, int32_t x)
{
    const int32_t pixels = smaller(DY_PIXELS, out->width - x);
    int32_t made[DY_PIXELS][DY_BLOCK];
    int32_t group, o, p;
    tile t = {0};
    t.conv = conv;
    t.patch = patch;
    t.depth = conv->window.height * conv->window.width * conv->group_in;
    for (group = 0; group < conv->groups; group++) {
        gather(conv, in, group, y, x, pixels, patch);
        for (o = 0; o < conv->group_out; o += DY_BLOCK, t.block++) {
            t.channel = group * conv->group_out + o;
            t.count = smaller(DY_BLOCK, conv->group_out - o);
            if (conv->wide)
                tile_wide(&t, made);
            else
                tile_narrow(&t, made);
            for (p = 0; p < pixels; p++)
                store(out, at(out, y, x + p) + t.channel, made[p], t.count);
        }
    }
}

void dy_convolve(const dy_conv *conv, const dy_tensor *in, const dy_tensor *out, int32_t *patch,
                 int32_t first, int32_t last)
{
    int32_t y, x;
    for (y = first; y < last; y++)
        for (x = 0; x < out->width; x += DY_PIXELS)
            convolve_pixels(conv, in, out, patch, y, x);
}

/* ---- pixels ---------------------------------------------------------------------------- */

/* out[y][x][channel] = table[image[channel][y][x]] */
static void map_plane(const uint8_t *plane, const int32_t *table, int32_t channel,
                      const dy_tensor *out, int32_t first, int32_t last)
{
    const int bytes = out->type == DY_U8 || out->type == DY_S8;
    int32_t y, x;
    for (y = first; y < last; y++) {
        const uint8_t *row = plane + (int64_t)y * out->width;
        uint8_t *to = out->data + at(out, y, 0) + channel;
        for (x = 0; bytes && x < out->width; x++, to += out->stride)
            *to = (uint8_t)table[row[x]];
        for (; x < out->width; x++)
            store(out, at(out, y, x) + channel, table + row[x], 1);
    }
}

void dy_normalize(const uint8_t *image, const int64_t *bias, const dy_scale *scale,
                  const dy_tensor *out, int32_t first, int32_t last)
{
    const int64_t size = (int64_t)out->height * out->width;
    int32_t table[256];
    int32_t channel, pixel;
    for (channel = 0; channel < out->channels; channel++) {
        const int32_t k = scale->per_channel ? channel : 0;
        for (pixel = 0; pixel < 256; pixel++)
            table[pixel] = rescale((pixel << 8) + bias[channel], scale->b[k], scale->c[k],
                                   scale->lo, scale->hi);
        map_plane(image + channel * size, table, channel, out, first, last);
    }
}

void dy_pixels(const uint8_t *image, const dy_tensor *out, int32_t first, int32_t last)
{
    const int64_t size = (int64_t)out->height * out->width;
    int32_t table[256];
    int32_t channel, pixel;
    for (pixel = 0; pixel < 256; pixel++)
        table[pixel] = pixel;
    for (channel = 0; channel < out->channels; channel++)
        map_plane(image + channel * size, table, channel, out, first, last);
}

/* ---- operations on single elements ----------------------------------------------------- */

/* Runs BODY for every run of at most CHUNK channels: `n` of them, index `i` in `in`, `o` in `out`. */
#define FOR_CHUNKS(BODY)                                                                         \
    do {                                                                                         \
        int32_t y_, x_, c_;                                                                      \
        for (y_ = first; y_ < last; y_++)                                                        \
            for (x_ = 0; x_ < out->width; x_++)                                                  \
                for (c_ = 0; c_ < out->channels; c_ += CHUNK) {                                  \
                    const int32_t n = smaller(CHUNK, out->channels - c_);                        \
                    const int64_t i = at(in, y_, x_) + c_, o = at(out, y_, x_) + c_;             \
                    BODY                                                                         \
                }                                                                                \
    } while (0)

void dy_requantize(const dy_scale *scale, const dy_tensor *in, const dy_tensor *out,
                   int32_t first, int32_t last)
{
    const int64_t b = scale->b[0];
    const uint8_t c = scale->c[0];
    int32_t values[CHUNK], e;
    FOR_CHUNKS({
        load(in, i, values, n);
        for (e = 0; e < n; e++)
            values[e] = rescale(values[e], b, c, scale->lo, scale->hi);
        store(out, o, values, n);
    });
}

void dy_threshold(const int32_t *thresholds, const int32_t *values, int32_t count,
                  const dy_tensor *in, const dy_tensor *out, int32_t first, int32_t last)
{
    int32_t x[CHUNK], code[CHUNK], e, t;
    FOR_CHUNKS({
        load(in, i, x, n);
        for (e = 0; e < n; e++)
            code[e] = values[0];
        /* The values rise step by step: add the steps below x, which needs no table look-up. */
        for (t = 0; t < count; t++) {
            const uint32_t step = (uint32_t)values[t + 1] - (uint32_t)values[t];
            for (e = 0; e < n; e++)
                code[e] = (int32_t)((uint32_t)code[e] + (thresholds[t] <= x[e] ? step : 0));
        }
        store(out, o, code, n);
    });
}

void dy_add(const dy_tensor *in, const dy_tensor *other, int32_t lo, int32_t hi,
            const dy_tensor *out, int32_t first, int32_t last)
{
    int32_t x[CHUNK], y[CHUNK], e;
    FOR_CHUNKS({
        load(in, i, x, n);
        load(other, at(other, y_, x_) + c_, y, n);
        for (e = 0; e < n; e++)
            x[e] = clamp((int64_t)x[e] + y[e], lo, hi);
        store(out, o, x, n);
    });
}

void dy_relu(const dy_tensor *in, const dy_tensor *out, int32_t first, int32_t last)
{
    int32_t x[CHUNK], e;
    FOR_CHUNKS({
        load(in, i, x, n);
        for (e = 0; e < n; e++)
            x[e] = x[e] > 0 ? x[e] : 0;
        store(out, o, x, n);
    });
}

void dy_copy(const dy_tensor *in, const dy_tensor *out, int32_t first, int32_t last)
{
    int32_t x[CHUNK];
    FOR_CHUNKS({
        load(in, i, x, n);
        store(out, o, x, n);
    });
}

/* ---- windows --------------------------------------------------------------------------- */

/* The part [*from, *to) of a window that starts at `start` which lies inside [0, size). */
static void clip_window(int32_t start, int32_t length, int32_t size, int32_t *from, int32_t *to)
{
    *from = start < 0 ? 0 : start;
    *to = smaller(start + length, size);
}

#define FOR_WINDOW(BODY)                                                                         \
    do {                                                                                         \
        int32_t top, bottom, left, right, row, column;                                           \
        clip_window(y_ * w->step_y - w->pad_y, w->height, in->height, &top, &bottom);            \
        clip_window(x_ * w->step_x - w->pad_x, w->width, in->width, &left, &right);              \
        for (row = top; row < bottom; row++)                                                     \
            for (column = left; column < right; column++) {                                      \
                load(in, at(in, row, column) + c_, x, n);                                        \
                for (e = 0; e < n; e++)                                                          \
                    BODY                                                                         \
            }                                                                                    \
    } while (0)

void dy_max_pool(const dy_window *w, const dy_tensor *in, const dy_tensor *out, int32_t first,
                 int32_t last)
{
    int32_t x[CHUNK], best[CHUNK], e;
    FOR_CHUNKS({
        (void)i;
        for (e = 0; e < n; e++)
            best[e] = INT32_MIN;
        FOR_WINDOW({ best[e] = x[e] > best[e] ? x[e] : best[e]; });
        store(out, o, best, n);
    });
}

void dy_sum_pool(const dy_window *w, const dy_tensor *in, const dy_tensor *out, int32_t first,
                 int32_t last)
{
    int32_t x[CHUNK], sum[CHUNK], e;
    FOR_CHUNKS({
        (void)i;
        for (e = 0; e < n; e++)
            sum[e] = 0;
        FOR_WINDOW({ sum[e] += x[e]; });
        store(out, o, sum, n);
    });
}

/* ---- shapes ---------------------------------------------------------------------------- */

void dy_repeat(int32_t times_y, int32_t times_x, const dy_tensor *in, const dy_tensor *out,
               int32_t first, int32_t last)
{
    int32_t values[CHUNK], y, x, c, i, j;
    for (y = first; y < last; y++)
        for (x = 0; x < in->width; x++)
            for (c = 0; c < in->channels; c += CHUNK) {
                const int32_t n = smaller(CHUNK, in->channels - c);
                load(in, at(in, y, x) + c, values, n);
                for (i = 0; i < times_y; i++)
                    for (j = 0; j < times_x; j++)
                        store(out, at(out, y * times_y + i, x * times_x + j) + c, values, n);
            }
}

void dy_flatten(const dy_tensor *in, const dy_tensor *out, int32_t first, int32_t last)
{
    const int64_t size = (int64_t)in->height * in->width;
    int32_t y, x, c, value;
    for (y = first; y < last; y++)
        for (x = 0; x < in->width; x++)
            for (c = 0; c < in->channels; c++) {
                load(in, at(in, y, x) + c, &value, 1);
                store(out, c * size + (int64_t)y * in->width + x, &value, 1);
            }
}

int dy_argmax(const int32_t *logits, int32_t count)
{
    int32_t best = 0, i;
    for (i = 1; i < count; i++)
        if (logits[i] > logits[best])
            best = i;
    return (int)best;
}
