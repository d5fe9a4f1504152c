#include "dyadic_kernels.h"

#include "dyadic_dot.h"

enum { CHUNK = 64 }; /* channels that are handled at a time */

enum { WORD = 31 };  /* most bits of the low word of a wide accumulator */

/* ---- the rule -------------------------------------------------------------------------- */

/* |acc| <= 2^31: the product and the sum fit 64 bits. The bit that rounds is added behind the other
 * shifts, which is the same; gcc makes no vectors of 2^c. */
static int32_t rescale(int64_t acc, int64_t b, int32_t c, int32_t lo, int32_t hi)
{
    const int32_t last = c > 0;
    return dy_clamp((((acc * b) >> (c - last)) + last) >> last, lo, hi);
}

static int32_t rescale_pair(int64_t acc, int64_t b, int64_t odd, int64_t odd_b, int32_t c,
                            int32_t lo, int32_t hi)
{
    return dy_clamp((acc * b + odd * odd_b + dy_half(c)) >> c, lo, hi);
}

/* acc = high * 2^s + low with s = min(c, 31), for both. The bits that the low products drop meet in
 * `carry`, so the nested floors equal the floor of the whole sum. */
static int32_t rescale_wide(int64_t acc, int64_t b, int64_t odd, int64_t odd_b, uint8_t c,
                            int32_t lo, int32_t hi)
{
    const int32_t s = dy_smaller(c, WORD);
    const int64_t mask = ((int64_t)1 << s) - 1;
    const int64_t low = (acc & mask) * b, odd_low = (odd & mask) * odd_b;
    const int64_t carry = ((low & mask) + (odd_low & mask) + dy_half(c)) >> s;
    const int64_t high = (acc >> s) * b + (odd >> s) * odd_b;
    return dy_clamp((high + (low >> s) + (odd_low >> s) + carry) >> (c - s), lo, hi);
}

/* ---- convolution ----------------------------------------------------------------------- */

/* What a step of a convolution works on: DY_PIXELS pixels' inputs and a range of channels. */
typedef struct {
    const dy_conv *conv;
    int32_t depth;                         /* taps * group_in */
    void *patch;                           /* [DY_PIXELS][depth] */
    int32_t size;                          /* bytes of its elements: 1 as they are, 2 or 4 */
    int32_t is_signed;                     /* whether the input's bytes are */
} tile;

static void load_short(const dy_tensor *t, int64_t index, int16_t *to, int32_t count)
{
    const uint8_t *from = t->data + index;
    int32_t i;
    if (t->type == DY_U8)
        for (i = 0; i < count; i++)
            to[i] = from[i];
    else if (t->type == DY_S8)
        for (i = 0; i < count; i++)
            to[i] = (int8_t)from[i];
    else
        memcpy(to, t->data + 2 * index, (uint32_t)count * sizeof *to);
}

/* Neighbouring elements of the input, or zeros outside the image. */
static void gather_run(const tile *t, const dy_tensor *in, int64_t index, int32_t count,
                       int32_t inside, int64_t place)
{
    if (!inside)
        memset((uint8_t *)t->patch + place * t->size, 0, (uint32_t)(count * t->size));
    else if (t->size == 1)
        memcpy((uint8_t *)t->patch + place, in->data + index, (uint32_t)count);
    else if (t->size == 2)
        load_short(in, index, (int16_t *)t->patch + place, count);
    else
        dy_values(in, index, (int32_t *)t->patch + place, count);
}

/* The taps of one row of the window, whose left column is `left`: one run where they are neighbours
 * in memory and in the image, else one each. */
static void gather_row(const tile *t, const dy_tensor *in, int32_t channel, int32_t row,
                       int32_t left, int64_t place)
{
    const dy_window *w = &t->conv->window;
    const int32_t count = t->conv->group_in, within = row >= 0 && row < in->height;
    const int together = w->dilation_x == 1 && in->stride == count && left >= 0
                         && left + w->width <= in->width;
    const int32_t step = together ? w->width : 1;
    int32_t j;
    for (j = 0; j < w->width; j += step, place += step * count) {
        const int32_t column = left + j * w->dilation_x;
        const int inside = within && column >= 0 && column < in->width;
        gather_run(t, in, dy_index(in, row, column) + channel, step * count, inside, place);
    }
}

/* The input that output pixels x .. x + DY_PIXELS - 1 of row y see: zeros beyond `pixels`. */
static void gather(const tile *t, const dy_tensor *in, int32_t group, int32_t y, int32_t x,
                   int32_t pixels)
{
    const dy_window *w = &t->conv->window;
    int64_t place = 0;
    int32_t p, i;
    for (p = 0; p < DY_PIXELS; p++)
        for (i = 0; i < w->height; i++, place += w->width * t->conv->group_in) {
            const int32_t row = y * w->step_y - w->pad_y + i * w->dilation_y;
            gather_row(t, in, group * t->conv->group_in, p < pixels ? row : -1,
                       (x + p) * w->step_x - w->pad_x, place);
        }
}

/* acc[p] += sum over k of patch[p][k] * weights[k]; compilers make dot products of it. */
#define DEFINE_MULTIPLY(NAME, ACC, INPUT, WEIGHT)                                                \
    static void NAME(ACC *acc, const INPUT *patch, int32_t depth, const WEIGHT *weights)         \
    {                                                                                            \
        const INPUT *x0 = patch, *x1 = x0 + depth, *x2 = x1 + depth, *x3 = x2 + depth;           \
        ACC sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0;                                              \
        int32_t k;                                                                               \
        for (k = 0; k < depth; k++) {                                                            \
            sum0 += (ACC)x0[k] * weights[k];                                                     \
            sum1 += (ACC)x1[k] * weights[k];                                                     \
            sum2 += (ACC)x2[k] * weights[k];                                                     \
            sum3 += (ACC)x3[k] * weights[k];                                                     \
        }                                                                                        \
        acc[0] += sum0;                                                                          \
        acc[1] += sum1;                                                                          \
        acc[2] += sum2;                                                                          \
        acc[3] += sum3;                                                                          \
    }

DEFINE_MULTIPLY(multiply_s8, int32_t, int16_t, int8_t)
DEFINE_MULTIPLY(multiply_s16, int32_t, int16_t, int16_t)
DEFINE_MULTIPLY(multiply_s32, int32_t, int32_t, int32_t)
DEFINE_MULTIPLY(multiply_s64, int64_t, int32_t, int64_t)

/* Without a vector instruction for it, clang makes a shift by different amounts from floats. */
#if defined(__clang__) && defined(__SSE2__) && !defined(__AVX2__)
#define ONE_BY_ONE _Pragma("clang loop vectorize(disable)")
#else
#define ONE_BY_ONE
#endif

/* The same with weights +-2^e or 0: a shift, a mask and a conditional negation, no product.
 * Unsigned, so that a negative x shifts as two's complement does; the bound on the accumulator
 * says that the sum comes back into its range. */
#define DEFINE_SHIFT(NAME, ACC, UNSIGNED)                                                        \
    static void NAME(ACC *acc, const int32_t *patch, int32_t depth, const uint8_t *weights)      \
    {                                                                                            \
        int32_t p, k;                                                                            \
        for (p = 0; p < DY_PIXELS; p++, patch += depth) {                                        \
            UNSIGNED sum = (UNSIGNED)acc[p];                                                     \
            ONE_BY_ONE                                                                           \
            for (k = 0; k < depth; k++) {                                                        \
                const UNSIGNED x = (UNSIGNED)(ACC)patch[k];                                      \
                const UNSIGNED shift = weights[k] & DY_EXPONENT;                                 \
                const UNSIGNED keep = weights[k] & DY_ZERO ? 0 : ~(UNSIGNED)0;                   \
                const UNSIGNED flip = weights[k] & DY_NEGATIVE ? ~(UNSIGNED)0 : 0;               \
                sum += (((x << shift) & keep) ^ flip) - flip;                                    \
            }                                                                                    \
            acc[p] = (ACC)sum;                                                                   \
        }                                                                                        \
    }

DEFINE_SHIFT(shift_narrow, int32_t, uint32_t)
DEFINE_SHIFT(shift_wide, int64_t, uint64_t)

/* A channel's row of a plane of weights. */
static const void *row_of(const dy_conv *conv, const void *plane, int32_t channel, int32_t depth)
{
    static const int64_t size[] = {sizeof(int8_t), sizeof(int16_t), sizeof(int32_t),
                                   sizeof(int64_t), 1};
    return (const uint8_t *)plane + (int64_t)channel * depth * size[conv->form];
}

static void accumulate_narrow(const tile *t, const void *weights, int32_t *acc)
{
#ifdef DY_DOT
    if (t->size == 1)
        dy_dot(acc, t->patch, t->depth, weights, t->is_signed);
    else
#endif
    if (t->conv->form == DY_WEIGHTS_S8)
        multiply_s8(acc, t->patch, t->depth, weights);
    else if (t->conv->form == DY_WEIGHTS_S16)
        multiply_s16(acc, t->patch, t->depth, weights);
    else if (t->conv->form == DY_WEIGHTS_S32)
        multiply_s32(acc, t->patch, t->depth, weights);
    else
        shift_narrow(acc, t->patch, t->depth, weights);
}

static void accumulate_wide(const tile *t, const void *weights, int64_t *acc)
{
    if (t->conv->form == DY_WEIGHTS_S64)
        multiply_s64(acc, t->patch, t->depth, weights);
    else
        shift_wide(acc, t->patch, t->depth, weights);
}

/* Sums of some channels of the tile's pixels, [pixel][channel - first]. */
static void sums_narrow(const tile *t, const void *plane, const int32_t *bias, int32_t first,
                        int32_t count, int32_t (*sums)[CHUNK])
{
    int32_t c, p;
    for (c = 0; c < count; c++) {
        const int32_t start = bias ? bias[first + c] : 0;
        int32_t acc[DY_PIXELS] = {start, start, start, start};
        accumulate_narrow(t, row_of(t->conv, plane, first + c, t->depth), acc);
        for (p = 0; p < DY_PIXELS; p++)
            sums[p][c] = acc[p];
    }
}

/* A pixel's sums, rescaled in place. A loop for each kind of scale and shifts of 32 bits, so that the
 * compiler makes vectors, and none that are longer than most layers have channels. */
static void rescale_sums(const dy_conv *conv, int32_t first, int32_t count, const int32_t *shift,
                         const int32_t *odd, int32_t *acc)
{
    const dy_scale *s = &conv->scale;
    const int32_t own = s->per_channel ? first : 0, lo = s->lo, hi = s->hi;
    const int32_t *b = s->b + own;
    int32_t c;
    if (conv->odd)
        for (c = 0; c < count; c++) {
            const int32_t i = s->per_channel ? c : 0;
            acc[c] = rescale_pair(acc[c], b[i], odd[c], conv->odd_b[own + i], shift[c], lo, hi);
        }
    else if (s->per_channel)
        for (c = 0; c < count; c++)
            acc[c] = rescale(acc[c], b[c], shift[c], lo, hi);
    else
        for (c = 0; c < count; c++)
            acc[c] = rescale(acc[c], b[0], shift[0], lo, hi);
}

static void channels_narrow(const tile *t, int32_t first, int32_t count, int32_t (*made)[CHUNK])
{
    const dy_scale *s = &t->conv->scale;
    int32_t odd[DY_PIXELS][CHUNK], shift[CHUNK], c, p;
    for (c = 0; c < count; c++)
        shift[c] = s->c[s->per_channel ? first + c : 0];
    sums_narrow(t, t->conv->weights, t->conv->bias, first, count, made);
    if (t->conv->odd)
        sums_narrow(t, t->conv->odd, NULL, first, count, odd);
    for (p = 0; p < DY_PIXELS; p++)
        rescale_sums(t->conv, first, count, shift, odd[p], made[p]);
}

/* One channel of the tile's pixels. */
static void channel_wide(const tile *t, int32_t channel, int32_t *out)
{
    const dy_conv *conv = t->conv;
    const dy_scale *s = &conv->scale;
    const int32_t i = s->per_channel ? channel : 0;
    const int64_t bias = ((const int64_t *)conv->bias)[channel];
    const int64_t odd_b = conv->odd ? conv->odd_b[i] : 0;
    int64_t acc[DY_PIXELS] = {bias, bias, bias, bias}, odd[DY_PIXELS] = {0};
    int32_t p;
    accumulate_wide(t, row_of(conv, conv->weights, channel, t->depth), acc);
    if (conv->odd)
        accumulate_wide(t, row_of(conv, conv->odd, channel, t->depth), odd);
    for (p = 0; p < DY_PIXELS; p++)
        out[p] = rescale_wide(acc[p], s->b[i], odd[p], odd_b, s->c[i], s->lo, s->hi);
}

/* Some channels of some pixels, [pixel][channel - first]. */
static void store_channels(const tile *t, int32_t first, int32_t count, int32_t pixels,
                           const dy_tensor *out, int64_t index)
{
    int32_t made[DY_PIXELS][CHUNK], channel[DY_PIXELS];
    int32_t c, p;
    if (!t->conv->wide)
        channels_narrow(t, first, count, made);
    for (c = 0; t->conv->wide && c < count; c++) {
        channel_wide(t, first + c, channel);
        for (p = 0; p < DY_PIXELS; p++)
            made[p][c] = channel[p];
    }
    for (p = 0; p < pixels; p++)
        dy_put_values(out, index + p * out->stride + first, made[p], count);
}

static void convolve_pixels(const tile *t, const dy_tensor *in, const dy_tensor *out, int32_t y,
                            int32_t x)
{
    const int32_t pixels = dy_smaller(DY_PIXELS, out->width - x), channels = t->conv->group_out;
    int32_t group, c;
    for (group = 0; group < t->conv->groups; group++) {
        gather(t, in, group, y, x, pixels);
        for (c = 0; c < channels; c += CHUNK)
            store_channels(t, group * channels + c, dy_smaller(CHUNK, channels - c), pixels, out,
                           dy_index(out, y, x));
    }
}

/* Bytes of a patch's elements. */
static int32_t patch_size(const dy_conv *conv, const dy_tensor *in)
{
#ifdef DY_DOT
    if (conv->form == DY_WEIGHTS_S8 && (in->type == DY_U8 || in->type == DY_S8))
        return 1;
#endif
    (void)in;
    return conv->form == DY_WEIGHTS_S8 || conv->form == DY_WEIGHTS_S16 ? 2 : 4;
}

void dy_convolve(const dy_conv *conv, const dy_tensor *in, const dy_tensor *out, void *patch,
                 int32_t first, int32_t last)
{
    const dy_window *w = &conv->window;
    const tile t = {conv, w->height * w->width * conv->group_in, patch, patch_size(conv, in),
                    in->type == DY_S8};
    int32_t y, x;
    for (y = first; y < last; y++)
        for (x = 0; x < out->width; x += DY_PIXELS)
            convolve_pixels(&t, in, out, y, x);
}

/* ---- pixels ---------------------------------------------------------------------------- */

/* out[y][x][channel] = table[image[channel][y][x]] */
static void map_plane(const uint8_t *plane, const int32_t *table, int32_t channel,
                      const dy_tensor *out, int32_t first, int32_t last)
{
    const int bytes = out->type == DY_U8 || out->type == DY_S8;
    const int64_t stride = out->stride;    /* what is stored may be anything, for all C knows */
    const int32_t width = out->width;
    int32_t y, x;
    for (y = first; y < last; y++) {
        const uint8_t *row = plane + (int64_t)y * width;
        uint8_t *to = out->data + dy_index(out, y, 0) + channel;
        for (x = 0; bytes && x < width; x++, to += stride)
            *to = (uint8_t)table[row[x]];
        for (; x < out->width; x++)
            dy_put_values(out, dy_index(out, y, x) + channel, table + row[x], 1);
    }
}

void dy_normalize(const uint8_t *image, const int32_t *bias, const dy_scale *scale,
                  const dy_tensor *out, int32_t first, int32_t last)
{
    const int64_t size = (int64_t)out->height * out->width;
    int32_t table[256];
    int32_t channel, pixel;
    for (channel = 0; channel < out->channels; channel++) {
        const int32_t k = scale->per_channel ? channel : 0;
        for (pixel = 0; pixel < 256; pixel++)
            table[pixel] = rescale((pixel << 8) + (int64_t)bias[channel], scale->b[k], scale->c[k],
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
                    const int32_t n = dy_smaller(CHUNK, out->channels - c_);                     \
                    const int64_t i = dy_index(in, y_, x_) + c_, o = dy_index(out, y_, x_) + c_; \
                    BODY                                                                         \
                }                                                                                \
    } while (0)

void dy_requantize(const dy_scale *scale, const dy_tensor *in, const dy_tensor *out,
                   int32_t first, int32_t last)
{
    const int32_t b = scale->b[0], c = scale->c[0];
    int32_t values[CHUNK], e;
    FOR_CHUNKS({
        dy_values(in, i, values, n);
        for (e = 0; e < n; e++)
            values[e] = rescale(values[e], b, c, scale->lo, scale->hi);
        dy_put_values(out, o, values, n);
    });
}

void dy_threshold(const int32_t *thresholds, const int32_t *values, int32_t count,
                  const dy_tensor *in, const dy_tensor *out, int32_t first, int32_t last)
{
    int32_t x[CHUNK], code[CHUNK], e, t;
    FOR_CHUNKS({
        dy_values(in, i, x, n);
        for (e = 0; e < n; e++)
            code[e] = values[0];
        /* The values rise step by step: add the steps below x, which needs no table look-up. */
        for (t = 0; t < count; t++) {
            const uint32_t step = (uint32_t)values[t + 1] - (uint32_t)values[t];
            for (e = 0; e < n; e++)
                code[e] = (int32_t)((uint32_t)code[e] + (thresholds[t] <= x[e] ? step : 0));
        }
        dy_put_values(out, o, code, n);
    });
}

void dy_add(const dy_tensor *in, const dy_tensor *other, int32_t lo, int32_t hi,
            const dy_tensor *out, int32_t first, int32_t last)
{
    int32_t x[CHUNK], y[CHUNK], e;
    FOR_CHUNKS({
        dy_values(in, i, x, n);
        dy_values(other, dy_index(other, y_, x_) + c_, y, n);
        for (e = 0; e < n; e++)
            x[e] = dy_clamp((int64_t)x[e] + y[e], lo, hi);
        dy_put_values(out, o, x, n);
    });
}

void dy_lookup(const int32_t *values, int32_t lo, const dy_tensor *in, const dy_tensor *out,
               int32_t first, int32_t last)
{
    int32_t x[CHUNK], e;
    FOR_CHUNKS({
        dy_values(in, i, x, n);
        for (e = 0; e < n; e++)
            x[e] = values[x[e] - lo];
        dy_put_values(out, o, x, n);
    });
}

void dy_gate(const dy_scale *scale, const dy_tensor *in, const dy_tensor *other,
             const dy_tensor *out, int32_t first, int32_t last)
{
    const int64_t b = scale->b[0];
    const uint8_t c = scale->c[0];
    const int one = other->channels == 1;
    int32_t x[CHUNK], y[CHUNK], e;
    FOR_CHUNKS({
        const int64_t gate = dy_index(other, other->height > 1 ? y_ : 0, other->width > 1 ? x_ : 0);
        dy_values(in, i, x, n);
        dy_values(other, gate + (one ? 0 : c_), y, one ? 1 : n);
        for (e = 0; e < n; e++)
            x[e] = rescale((int64_t)x[e] * y[one ? 0 : e], b, c, scale->lo, scale->hi);
        dy_put_values(out, o, x, n);
    });
}

void dy_select(const int32_t *channels, const dy_tensor *in, const dy_tensor *out, int32_t first,
               int32_t last)
{
    int32_t x[CHUNK], e;
    FOR_CHUNKS({
        const int64_t pixel = i - c_;
        for (e = 0; e < n; e++) {
            x[e] = 0;
            if (channels[c_ + e] >= 0)
                dy_values(in, pixel + channels[c_ + e], x + e, 1);
        }
        dy_put_values(out, o, x, n);
    });
}

void dy_pad(int32_t top, int32_t left, const dy_tensor *in, const dy_tensor *out, int32_t first,
            int32_t last)
{
    int32_t x[CHUNK];
    FOR_CHUNKS({
        const int32_t row = y_ - top;
        const int32_t column = x_ - left;
        (void)i;
        memset(x, 0, sizeof x);
        if (row >= 0 && row < in->height && column >= 0 && column < in->width)
            dy_values(in, dy_index(in, row, column) + c_, x, n);
        dy_put_values(out, o, x, n);
    });
}

void dy_relu(const dy_tensor *in, const dy_tensor *out, int32_t first, int32_t last)
{
    int32_t x[CHUNK], e;
    FOR_CHUNKS({
        dy_values(in, i, x, n);
        for (e = 0; e < n; e++)
            x[e] = x[e] > 0 ? x[e] : 0;
        dy_put_values(out, o, x, n);
    });
}

void dy_copy(const dy_tensor *in, const dy_tensor *out, int32_t first, int32_t last)
{
    int32_t x[CHUNK];
    FOR_CHUNKS({
        dy_values(in, i, x, n);
        dy_put_values(out, o, x, n);
    });
}

/* ---- windows --------------------------------------------------------------------------- */

/* The part [*from, *to) of a window that starts at `start` which lies inside [0, size). */
static void clip_window(int32_t start, int32_t length, int32_t size, int32_t *from, int32_t *to)
{
    *from = start < 0 ? 0 : start;
    *to = dy_smaller(start + length, size);
}

#define FOR_WINDOW(BODY)                                                                         \
    do {                                                                                         \
        int32_t top, bottom, left, right, row, column;                                           \
        clip_window(y_ * w->step_y - w->pad_y, w->height, in->height, &top, &bottom);            \
        clip_window(x_ * w->step_x - w->pad_x, w->width, in->width, &left, &right);              \
        for (row = top; row < bottom; row++)                                                     \
            for (column = left; column < right; column++) {                                      \
                dy_values(in, dy_index(in, row, column) + c_, x, n);                             \
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
        dy_put_values(out, o, best, n);
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
        dy_put_values(out, o, sum, n);
    });
}

void dy_sum_spans(const int32_t *rows, const int32_t *columns, const dy_tensor *in,
                  const dy_tensor *out, int32_t first, int32_t last)
{
    int32_t x[CHUNK], sum[CHUNK], e, row, column;
    FOR_CHUNKS({
        const int32_t *r = rows + 3 * (int64_t)y_;
        const int32_t *k = columns + 3 * (int64_t)x_;
        (void)i;
        memset(sum, 0, sizeof sum);
        for (row = r[0]; row < r[1]; row++)
            for (column = k[0]; column < k[1]; column++) {
                dy_values(in, dy_index(in, row, column) + c_, x, n);
                for (e = 0; e < n; e++)
                    sum[e] += x[e];
            }
        for (e = 0; e < n; e++)
            sum[e] *= r[2] * k[2];
        dy_put_values(out, o, sum, n);
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
                const int32_t n = dy_smaller(CHUNK, in->channels - c);
                dy_values(in, dy_index(in, y, x) + c, values, n);
                for (i = 0; i < times_y; i++)
                    for (j = 0; j < times_x; j++)
                        dy_put_values(out, dy_index(out, y * times_y + i, x * times_x + j) + c, values, n);
            }
}

void dy_flatten(const dy_tensor *in, const dy_tensor *out, int32_t first, int32_t last)
{
    const int64_t size = (int64_t)in->height * in->width;
    int32_t y, x, c, value;
    for (y = first; y < last; y++)
        for (x = 0; x < in->width; x++)
            for (c = 0; c < in->channels; c++) {
                dy_values(in, dy_index(in, y, x) + c, &value, 1);
                dy_put_values(out, c * size + (int64_t)y * in->width + x, &value, 1);
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
