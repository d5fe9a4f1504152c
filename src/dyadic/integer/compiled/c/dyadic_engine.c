#define _GNU_SOURCE
#include "dyadic_engine.h"

#include "dyadic_pool.h"

#include <stdlib.h>
#include <string.h>

enum {
    LINE = 64,
    SHARES = 4,                            /* tasks per thread, so that a slow thread gets fewer */
    SMALL = 1 << 14                        /* elements for which a second thread does not pay */
};

struct dy_engine {
    const dy_plan *plan;
    dy_pool *pool;
    uint8_t *arena;
    uint8_t *scratch;                      /* plan->scratch bytes for each thread */
    const uint8_t *pixels;
    int32_t images, capacity, threads;
};

/* A job of the pool: one step, its output rows cut into `parts` for every image. */
typedef struct {
    const dy_engine *engine;
    const dy_step *step;
    int32_t rows, parts;
} job;

static int32_t bytes_of(const dy_tensor *view)
{
    return view->type == DY_S32 ? 4 : view->type == DY_S16 ? 2 : 1;
}

static dy_tensor view_of(const dy_engine *engine, int32_t slot, int32_t image)
{
    const dy_slot *s = engine->plan->slots + slot;
    dy_tensor view = s->view;
    view.data = engine->arena + s->offset * engine->images + s->size * image + s->origin;
    return view;
}

/* Zeros around an image: convolutions that read in place see their padding there. */
static void clear_border(const dy_engine *engine, int32_t slot, int32_t image)
{
    const dy_slot *s = engine->plan->slots + slot;
    const dy_tensor view = view_of(engine, slot, image);
    const int64_t size = bytes_of(&view), pitch = view.pitch * size;
    const int64_t right = (int64_t)view.width * view.stride * size;
    uint8_t *row = view.data - s->border_y * pitch;
    int32_t y;
    if (!s->border_x && !s->border_y)
        return;
    for (y = -s->border_y; y < view.height + s->border_y; y++, row += pitch) {
        const int inside = y >= 0 && y < view.height;
        uint8_t *from = inside ? row + right : row - s->border_x * view.stride * size;
        memset(from, 0, (size_t)(row + pitch - from));
    }
    memset(view.data - s->border_x * view.stride * size, 0,
           (size_t)(s->border_x * view.stride * size));
}

static void run_rows(const dy_engine *engine, const dy_step *step, int32_t image, int32_t first,
                     int32_t last, int32_t thread)
{
    const dy_plan *plan = engine->plan;
    const uint8_t *pixels = engine->pixels + plan->pixels * image;
    const dy_tensor out = view_of(engine, step->target, image);
    dy_tensor in = out, other = out;
    if (step->source >= 0)
        in = view_of(engine, step->source, image);
    if (step->other >= 0)
        other = view_of(engine, step->other, image);
    switch (step->kind) {
    case DY_STEP_PIXELS:
        dy_pixels(pixels, &out, first, last);
        break;
    case DY_STEP_NORMALIZE:
        dy_normalize(pixels, step->bias, &step->scale, &out, first, last);
        break;
    case DY_STEP_CONVOLVE:
        dy_convolve(&step->conv, &in, &out,
                    (int32_t *)(void *)(engine->scratch + plan->scratch * thread), first, last);
        break;
    case DY_STEP_REQUANTIZE:
        dy_requantize(&step->scale, &in, &out, first, last);
        break;
    case DY_STEP_THRESHOLD:
        dy_threshold(step->thresholds, step->values, step->count, &in, &out, first, last);
        break;
    case DY_STEP_ADD:
        dy_add(&in, &other, step->lo, step->hi, &out, first, last);
        break;
    case DY_STEP_RELU:
        dy_relu(&in, &out, first, last);
        break;
    case DY_STEP_COPY:
        dy_copy(&in, &out, first, last);
        break;
    case DY_STEP_MAX_POOL:
        dy_max_pool(&step->window, &in, &out, first, last);
        break;
    case DY_STEP_SUM_POOL:
        dy_sum_pool(&step->window, &in, &out, first, last);
        break;
    case DY_STEP_REPEAT:
        dy_repeat(step->times_y, step->times_x, &in, &out, first, last);
        break;
    default:
        dy_flatten(&in, &out, first, last);
    }
}

static void rows_task(void *context, int64_t task, int32_t thread)
{
    const job *j = context;
    const int32_t image = (int32_t)(task / j->parts), part = (int32_t)(task % j->parts);
    const int32_t first = (int32_t)((int64_t)j->rows * part / j->parts);
    const int32_t last = (int32_t)((int64_t)j->rows * (part + 1) / j->parts);
    if (part == 0)
        clear_border(j->engine, j->engine->plan->slots[j->step->target].root, image);
    run_rows(j->engine, j->step, image, first, last, thread);
}

/* How often an output element reads: what the work of a step is measured in. */
static int64_t work_of(const dy_step *step, const dy_tensor *out)
{
    const int64_t elements = (int64_t)out->height * out->width * out->channels;
    const dy_window *w = step->kind == DY_STEP_CONVOLVE ? &step->conv.window : &step->window;
    if (step->kind == DY_STEP_CONVOLVE)
        return elements * w->height * w->width * step->conv.group_in;
    if (step->kind == DY_STEP_MAX_POOL || step->kind == DY_STEP_SUM_POOL)
        return elements * w->height * w->width;
    return elements;
}

/* Repetition and flattening go by the rows of their input. */
static int32_t rows_of(const dy_engine *engine, const dy_step *step)
{
    const int by_input = step->kind == DY_STEP_REPEAT || step->kind == DY_STEP_FLATTEN;
    return engine->plan->slots[by_input ? step->source : step->target].view.height;
}

static void run_step(dy_engine *engine, const dy_step *step)
{
    job j = {engine, step, 0, 1};
    const dy_tensor *out = &engine->plan->slots[step->target].view;
    const int64_t shares = work_of(step, out) * engine->images / SMALL + 1;
    const int64_t wanted = (int64_t)engine->threads * SHARES / engine->images + 1;
    const int64_t parts = shares < wanted ? shares : wanted;
    j.rows = rows_of(engine, step);
    j.parts = (int32_t)(parts < j.rows ? parts : j.rows);
    dy_pool_run(engine->pool, rows_task, &j, (int64_t)engine->images * j.parts);
}

void dy_run(dy_engine *engine, const uint8_t *pixels, int32_t images)
{
    int32_t i;
    engine->pixels = pixels;
    engine->images = images;
    for (i = 0; i < engine->plan->step_count; i++)
        run_step(engine, engine->plan->steps + i);
}

/* channels x rows x columns in planar order; dy_flatten does just that. */
void dy_read(const dy_engine *engine, int32_t slot, int32_t *to)
{
    const dy_tensor *view = &engine->plan->slots[slot].view;
    const int64_t size = (int64_t)view->channels * view->height * view->width;
    int32_t image;
    for (image = 0; image < engine->images; image++) {
        const dy_tensor in = view_of(engine, slot, image);
        dy_tensor out = {0};
        out.data = (uint8_t *)(to + size * image);
        out.type = DY_S32;
        dy_flatten(&in, &out, 0, in.height);
    }
}

static uint8_t *lines(int64_t bytes)
{
    return aligned_alloc(LINE, (size_t)((bytes + LINE - 1) / LINE * LINE));
}

dy_engine *dy_open(const dy_plan *plan, int32_t images, int32_t threads)
{
    dy_engine *engine = calloc(1, sizeof *engine);
    if (!engine)
        return NULL;
    engine->plan = plan;
    engine->capacity = images;
    engine->threads = threads;
    engine->arena = lines(plan->arena * images + plan->slack);
    engine->scratch = lines(plan->scratch * threads + LINE);
    engine->pool = dy_pool_open(threads);
    if (engine->arena && engine->scratch && engine->pool)
        return engine;
    dy_close(engine);
    return NULL;
}

void dy_close(dy_engine *engine)
{
    if (engine->pool)
        dy_pool_close(engine->pool);
    free(engine->scratch);
    free(engine->arena);
    free(engine);
}
