#include "dyadic_vector.h"

#include "dyadic_lanes.h"

/* ---- rescaling ------------------------------------------------------------------------- */

#ifdef DY_TILES

static void requantize_run(const dy_constants *k, dy_target to, const dy_tensor *in,
                           const uint8_t *from, int64_t count)
{
    const int32_t width = DY_LANES * dy_size_of(in);
    int64_t done;
    int32_t v;
    for (done = 0; done < count; done += DY_TILE_CHANNELS) {
        dy_vector x[DY_VECTORS];
        _Pragma("GCC unroll 4") for (v = 0; v < DY_VECTORS; v++, from += width)
            x[v] = dy_scale_high(dy_widen(in->type, from), k, 1);
        to.lanes = count - done < DY_TILE_CHANNELS ? (int32_t)(count - done) : DY_TILE_CHANNELS;
        dy_put(&to, to.type, DY_VECTORS, x);
    }
}

void dy_vector_requantize(const dy_lanes *lanes, const dy_tensor *in, const dy_tensor *out,
                          int32_t first, int32_t last)
{
    const dy_constants k = dy_constants_of(lanes, 0);
    const int dense = in->stride == in->channels && out->stride == out->channels;
    const int32_t runs = dense ? 1 : out->width;
    const int64_t count = dense ? (int64_t)out->width * out->channels : out->channels;
    dy_target to = dy_target_of(out->type, DY_TILE_CHANNELS, lanes->lo, lanes->hi);
    int32_t y, x;
    to.step = DY_TILE_CHANNELS * dy_size_of(out);
    for (y = first; y < last; y++)
        for (x = 0; x < runs; x++) {
            to.at = dy_address(out, y, x);
            requantize_run(&k, to, in, dy_address(in, y, x), count);
        }
}

#else

void dy_vector_requantize(const dy_lanes *lanes, const dy_tensor *in, const dy_tensor *out,
                          int32_t first, int32_t last)
{
    (void)lanes, (void)in, (void)out, (void)first, (void)last;
}

#endif

/* ---- pooling --------------------------------------------------------------------------- */

/* The part of a window inside the image. */
typedef struct {
    int32_t top, bottom, left, right;
} part;

static part part_of(const dy_window *w, const dy_tensor *in, int32_t y, int32_t x)
{
    const int32_t top = y * w->step_y - w->pad_y, left = x * w->step_x - w->pad_x;
    const part inside = {top < 0 ? 0 : top, dy_smaller(top + w->height, in->height),
                         left < 0 ? 0 : left, dy_smaller(left + w->width, in->width)};
    return inside;
}

/* Compilers make vectors of the innermost loop. */
#define DEFINE_LARGEST(NAME, TYPE)                                                               \
    static void NAME(const dy_tensor *in, const part *inside, TYPE *restrict best)               \
    {                                                                                            \
        const TYPE *data = (const TYPE *)(const void *)in->data;                                 \
        int32_t i, j, c;                                                                         \
        memcpy(best, data + dy_index(in, inside->top, inside->left),                             \
               (size_t)in->channels * sizeof *best);                                             \
        for (i = inside->top; i < inside->bottom; i++)                                           \
            for (j = inside->left; j < inside->right; j++) {                                     \
                const TYPE *from = data + dy_index(in, i, j);                                    \
                for (c = 0; c < in->channels; c++)                                               \
                    best[c] = from[c] > best[c] ? from[c] : best[c];                             \
            }                                                                                    \
    }

DEFINE_LARGEST(largest_u8, uint8_t)
DEFINE_LARGEST(largest_s8, int8_t)
DEFINE_LARGEST(largest_s16, int16_t)

void dy_vector_max_pool(const dy_window *w, const dy_tensor *in, const dy_tensor *out,
                        int32_t first, int32_t last)
{
    int32_t y, x;
    DY_REQUIRE(in->type == out->type && in->type != DY_S32);
    for (y = first; y < last; y++)
        for (x = 0; x < out->width; x++) {
            const part inside = part_of(w, in, y, x);
            void *to = dy_address(out, y, x);
            if (in->type == DY_U8)
                largest_u8(in, &inside, to);
            else if (in->type == DY_S8)
                largest_s8(in, &inside, to);
            else
                largest_s16(in, &inside, to);
        }
}
