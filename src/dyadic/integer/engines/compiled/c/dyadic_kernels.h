/* The operations of an integer program in C99: no floating point, no division.
 *
 * One rule rescales everywhere:  clamp((acc * b + 2^(c - 1)) >> c, lo, hi)
 * with the product in 64 bits and an arithmetic shift, so ties round half up; nothing is added
 * for c = 0. Zero points are 0.
 *
 * Tensors are NHWC, one image at a time. Every kernel makes the rows [first, last) of its output,
 * so that a caller may share them between threads.
 */
#ifndef DYADIC_KERNELS_H
#define DYADIC_KERNELS_H

#include <stdint.h>
#include <string.h>

/* What a caller promises, checked in debug builds. */
#ifdef DY_DEBUG
#include <assert.h>
#define DY_REQUIRE(CONDITION) assert(CONDITION)
#else
#define DY_REQUIRE(CONDITION) ((void)0)
#endif

/* >> of a negative number is left to the compiler by C99; gcc and clang shift arithmetically. */
typedef char dy_shift_is_arithmetic[(-1 >> 1) == -1 ? 1 : -1];

enum { DY_U8, DY_S8, DY_S16, DY_S32 };                                  /* dy_tensor.type */
/* dy_conv.form: the weights' type. S8 and S16 meet inputs of at most 16 bits; S64 has wide
 * accumulators, SHIFT has either kind. */
enum { DY_WEIGHTS_S8, DY_WEIGHTS_S16, DY_WEIGHTS_S32, DY_WEIGHTS_S64, DY_WEIGHTS_SHIFT };
enum { DY_PIXELS = 4 };                    /* that share a pass over the weights */

typedef struct {
    uint8_t *data;                         /* channel 0 of pixel (0, 0) */
    int32_t type;
    int32_t channels, height, width;
    int64_t stride;                        /* elements from a pixel to its right neighbour */
    int64_t pitch;                         /* elements from a row to the next one */
} dy_tensor;

static inline int32_t dy_smaller(int32_t x, int32_t y)
{
    return x < y ? x : y;
}

/* Bytes of an element. */
static inline int32_t dy_size_of(const dy_tensor *t)
{
    return t->type == DY_S32 ? 4 : t->type == DY_S16 ? 2 : 1;
}

/* The element that is channel 0 of a pixel, and its address. */
static inline int64_t dy_index(const dy_tensor *t, int32_t y, int32_t x)
{
    return y * t->pitch + x * t->stride;
}

static inline uint8_t *dy_address(const dy_tensor *t, int32_t y, int32_t x)
{
    return t->data + dy_index(t, y, x) * dy_size_of(t);
}

static inline int32_t dy_clamp(int64_t value, int32_t lo, int32_t hi)
{
    return (int32_t)(value < lo ? lo : value > hi ? hi : value);
}

/* 2^(c - 1), and 0 for c = 0. */
static inline int64_t dy_half(int32_t c)
{
    return ((int64_t)1 << c) >> 1;
}

/* Elements from `index` on, as int32; memcpy, because the arena's bytes are reused by tensors of
 * different types. */
static inline void dy_values(const dy_tensor *t, int64_t index, int32_t *to, int32_t count)
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

static inline void dy_put_values(const dy_tensor *t, int64_t index, const int32_t *from,
                                 int32_t count)
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

typedef struct {
    const int32_t *b;                      /* [1], or [channels] if per_channel */
    const uint8_t *c;
    int32_t per_channel;
    int32_t lo, hi;
} dy_scale;

typedef struct {
    int32_t height, width;                 /* of the kernel */
    int32_t step_y, step_x;                /* stride */
    int32_t pad_y, pad_x;
    int32_t dilation_y, dilation_x;
} dy_window;

typedef struct {
    dy_window window;
    int32_t groups;
    int32_t group_in, group_out;           /* channels of a group */
    int32_t form;                          /* type of weights and odd */
    int32_t wide;                          /* 64-bit accumulators, split in two words to rescale */
    const void *weights;                   /* [groups][group_out][taps * group_in] */
    const void *odd;                       /* the plane of sqrt(2), or NULL */
    const void *bias;                      /* [channels], int32_t, or int64_t if wide */
    const int32_t *odd_b;                  /* b of the odd plane, or NULL */
    dy_scale scale;
} dy_conv;

/* A power-of-two weight in a byte: exponent, sign, and a flag for zero. */
#define DY_EXPONENT 63
#define DY_NEGATIVE 64
#define DY_ZERO 128

/* Pixels (planar, [channels][height][width]) to codes: requantize((pixel << 8) + bias, scale). */
void dy_normalize(const uint8_t *image, const int32_t *bias, const dy_scale *scale,
                  const dy_tensor *out, int32_t first, int32_t last);

/* Pixels as they are, planar to NHWC. */
void dy_pixels(const uint8_t *image, const dy_tensor *out, int32_t first, int32_t last);

/* Elements of `patch`, of 4 bytes each, that dy_convolve needs: DY_PIXELS * kernel area * group_in. */
void dy_convolve(const dy_conv *conv, const dy_tensor *in, const dy_tensor *out, void *patch,
                 int32_t first, int32_t last);

void dy_requantize(const dy_scale *scale, const dy_tensor *in, const dy_tensor *out,
                   int32_t first, int32_t last);

/* values[number of thresholds <= x] */
void dy_threshold(const int32_t *thresholds, const int32_t *values, int32_t count,
                  const dy_tensor *in, const dy_tensor *out, int32_t first, int32_t last);

void dy_add(const dy_tensor *x, const dy_tensor *y, int32_t lo, int32_t hi, const dy_tensor *out,
            int32_t first, int32_t last);

void dy_relu(const dy_tensor *in, const dy_tensor *out, int32_t first, int32_t last);

/* To another type or place, for example a slice of a concatenation's channels. */
void dy_copy(const dy_tensor *in, const dy_tensor *out, int32_t first, int32_t last);

void dy_max_pool(const dy_window *window, const dy_tensor *in, const dy_tensor *out,
                 int32_t first, int32_t last);

void dy_sum_pool(const dy_window *window, const dy_tensor *in, const dy_tensor *out,
                 int32_t first, int32_t last);

/* Sums over windows cut to the image: rows and columns [begin, end), and a factor each:
 * rows [height][3], columns [width][3] of `out`. */
void dy_sum_spans(const int32_t *rows, const int32_t *columns, const dy_tensor *in,
                  const dy_tensor *out, int32_t first, int32_t last);

/* values[x - lo] */
void dy_lookup(const int32_t *values, int32_t lo, const dy_tensor *in, const dy_tensor *out,
               int32_t first, int32_t last);

/* rescale(x * y); an axis of y that is 1 serves all of x. */
void dy_gate(const dy_scale *scale, const dy_tensor *x, const dy_tensor *y, const dy_tensor *out,
             int32_t first, int32_t last);

/* Channel i is channel channels[i] of the input; zeros for -1. */
void dy_select(const int32_t *channels, const dy_tensor *in, const dy_tensor *out, int32_t first,
               int32_t last);

/* The input's pixel (0, 0) at row `top` and column `left`, which may be negative; else zeros. */
void dy_pad(int32_t top, int32_t left, const dy_tensor *in, const dy_tensor *out, int32_t first,
            int32_t last);

/* Rows are the input's; each makes times_y rows of the output. */
void dy_repeat(int32_t times_y, int32_t times_x, const dy_tensor *in, const dy_tensor *out,
               int32_t first, int32_t last);

/* [height][width][channels] to channels * height * width in planar order; rows are the input's. */
void dy_flatten(const dy_tensor *in, const dy_tensor *out, int32_t first, int32_t last);

/* Index of the largest logit, the first one of equals. */
int dy_argmax(const int32_t *logits, int32_t count);

#endif
