#include "dyadic_vector.h"

#include "dyadic_lanes.h"

#ifdef DY_TILES

static uint8_t *address(const dy_tensor *t, int32_t y, int32_t x)
{
    return t->data + (y * t->pitch + x * t->stride) * dy_size_of(t);
}

static void requantize_run(const dy_constants *k, dy_target to, const dy_tensor *in,
                           const uint8_t *from, int32_t count)
{
    const int32_t in_size = dy_size_of(in);
    int32_t done, i;
    for (done = 0; done < count; done += 64) {
        __m512i x[4];
        _Pragma("GCC unroll 4") for (i = 0; i < 4; i++, from += 16 * in_size)
            x[i] = dy_rescale(dy_load_all(in->type, from), k);
        to.lanes = count - done < 64 ? count - done : 64;
        dy_put(&to, to.type, 4, x);
    }
}

void dy_vector_requantize(const dy_lanes *lanes, const dy_tensor *in, const dy_tensor *out,
                          int32_t first, int32_t last)
{
    const dy_constants k = dy_constants_of(lanes, 0);
    const int dense = in->stride == in->channels && out->stride == out->channels;
    const int32_t runs = dense ? 1 : out->width;
    const int32_t count = dense ? out->width * out->channels : out->channels;
    dy_target to = dy_target_of(out->type, 64, lanes->lo, lanes->hi);
    int32_t y, x;
    to.step = 64 * dy_size_of(out);
    for (y = first; y < last; y++)
        for (x = 0; x < runs; x++) {
            to.at = address(out, y, x);
            requantize_run(&k, to, in, address(in, y, x), count);
        }
}

static inline __m512i larger(int32_t type, __m512i x, __m512i y)
{
    if (type == DY_U8)
        return _mm512_max_epu8(x, y);
    if (type == DY_S8)
        return _mm512_max_epi8(x, y);
    if (type == DY_S16)
        return _mm512_max_epi16(x, y);
    return _mm512_max_epi32(x, y);
}

/* 64 bytes of channels; the window's part inside the image is rows x columns. */
static inline __m512i largest(const dy_tensor *in, const uint8_t *from, int32_t rows,
                              int32_t columns, __mmask64 mask)
{
    const int64_t right = in->stride * dy_size_of(in);
    const int64_t below = in->pitch * dy_size_of(in);
    __m512i best = _mm512_maskz_loadu_epi8(mask, from);
    int32_t i, j;
    for (i = 0; i < rows; i++)
        for (j = 0; j < columns; j++)
            best = larger(in->type, best,
                          _mm512_maskz_loadu_epi8(mask, from + i * below + j * right));
    return best;
}

static void clip(int32_t start, int32_t length, int32_t size, int32_t *from, int32_t *count)
{
    const int32_t end = start + length < size ? start + length : size;
    *from = start < 0 ? 0 : start;
    *count = end - *from;
}

void dy_vector_max_pool(const dy_window *w, const dy_tensor *in, const dy_tensor *out,
                        int32_t first, int32_t last)
{
    const int32_t bytes = out->channels * dy_size_of(out);
    int32_t y, x, top, rows, left, columns, done;
    for (y = first; y < last; y++) {
        clip(y * w->step_y - w->pad_y, w->height, in->height, &top, &rows);
        for (x = 0; x < out->width; x++) {
            clip(x * w->step_x - w->pad_x, w->width, in->width, &left, &columns);
            for (done = 0; done < bytes; done += 64) {
                const int32_t rest = bytes - done;
                const __mmask64 mask = rest >= 64 ? ~0ULL : (1ULL << rest) - 1;
                _mm512_mask_storeu_epi8(
                    address(out, y, x) + done, mask,
                    largest(in, address(in, top, left) + done, rows, columns, mask));
            }
        }
    }
}

#else

void dy_vector_requantize(const dy_lanes *lanes, const dy_tensor *in, const dy_tensor *out,
                          int32_t first, int32_t last)
{
    (void)lanes, (void)in, (void)out, (void)first, (void)last;
}

void dy_vector_max_pool(const dy_window *w, const dy_tensor *in, const dy_tensor *out,
                        int32_t first, int32_t last)
{
    (void)w, (void)in, (void)out, (void)first, (void)last;
}

#endif
