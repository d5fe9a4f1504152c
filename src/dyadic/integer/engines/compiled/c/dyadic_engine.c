#define _GNU_SOURCE
#include "dyadic_engine.h"

#include "dyadic_memory.h"
#include "dyadic_pool.h"
#include "dyadic_vector.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    SHARES = 4,                            /* tasks per thread, so that a slow thread gets fewer */
    SMALL = 1 << 14,                       /* elements for which a second thread does not pay */
    TASK_PRODUCTS = 1 << 21,               /* multiplications that are worth a task */
    TASK_POSITIONS = 64,
    TASK_BLOCKS = 4,
    TASK_WEIGHTS = 1 << 19,                /* bytes */
    NEAR_WEIGHTS = 1 << 21                 /* that every thread may read */
};

struct dy_engine {
    const dy_plan *plan;
    dy_pool *pool;
    uint8_t *arena;
    const uint8_t *pixels;
    int32_t images, capacity, threads;
    int32_t split;                         /* steps before it take few images at a time */
    int32_t first, count;                  /* images that the current step takes */
    int64_t *spent;                        /* nanoseconds of each step; NULL: not wanted */
    uint8_t *scratch[];                    /* plan->scratch bytes for each thread */
};

/* A job of the pool: one step, its output rows cut into `parts` for every image. */
typedef struct {
    const dy_engine *engine;
    const dy_step *step;
    int32_t rows, parts;
} job;

static dy_tensor view_of(const dy_engine *engine, int32_t slot, int32_t image)
{
    const dy_slot *s = engine->plan->slots + slot;
    dy_tensor view = s->view;
    view.data = engine->arena + engine->plan->arena * image + s->offset + s->origin;
    return view;
}

/* Zeros around an image: convolutions that read in place see their padding there. */
static void clear_border(const dy_engine *engine, int32_t slot, int32_t image)
{
    const dy_slot *s = engine->plan->slots + slot;
    const dy_tensor view = view_of(engine, slot, image);
    const int64_t size = dy_size_of(&view), pitch = view.pitch * size;
    const int64_t right = view.width * view.stride * size;
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
                    (int32_t *)(void *)engine->scratch[thread], first, last);
        break;
    case DY_STEP_REQUANTIZE:
        if (step->vector)
            dy_vector_requantize(&step->gemm.lanes, &in, &out, first, last);
        else
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
        if (step->vector)
            dy_vector_max_pool(&step->window, &in, &out, first, last);
        else
            dy_max_pool(&step->window, &in, &out, first, last);
        break;
    case DY_STEP_SUM_POOL:
        dy_sum_pool(&step->window, &in, &out, first, last);
        break;
    case DY_STEP_SUM_SPANS:
        dy_sum_spans(step->rows, step->columns, &in, &out, first, last);
        break;
    case DY_STEP_LOOKUP:
        dy_lookup(step->values, step->lo, &in, &out, first, last);
        break;
    case DY_STEP_MULTIPLY:
        dy_gate(&step->scale, &in, &other, &out, first, last);
        break;
    case DY_STEP_SELECT:
        dy_select(step->channels, &in, &out, first, last);
        break;
    case DY_STEP_PAD:
        dy_pad(step->window.pad_y, step->window.pad_x, &in, &out, first, last);
        break;
    case DY_STEP_REPEAT:
        dy_repeat(step->times_y, step->times_x, &in, &out, first, last);
        break;
    case DY_STEP_FLATTEN:
        dy_flatten(&in, &out, first, last);
        break;
    default:
        abort(); /* dy_open refuses it */
    }
}

static void rows_task(void *context, int64_t task, int32_t thread)
{
    const job *j = context;
    const int32_t image = j->engine->first + (int32_t)(task / j->parts);
    const int32_t part = (int32_t)(task % j->parts);
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

/* ---- matrix products ------------------------------------------------------------------- */

/* A product's positions and channels, each cut into parts; tasks that share weights follow. */
typedef struct {
    const dy_engine *engine;
    const dy_step *step;
    int32_t images, positions, pixels, position_parts, block_parts;
    int32_t whole;                         /* positions that are not cut apart */
    int32_t run;                           /* parts of images by the same blocks, one after another */
} product_job;

/* The batch's only pixels as one image's row. */
static dy_tensor folded(const dy_engine *engine, int32_t slot)
{
    dy_tensor view = view_of(engine, slot, engine->first);
    view.width = engine->count;
    view.stride = engine->plan->arena / dy_size_of(&view);
    view.pitch = view.stride * view.width;
    return view;
}

static dy_tensor operand(const product_job *j, int32_t slot, int32_t image)
{
    return j->step->gemm.fold ? folded(j->engine, slot) : view_of(j->engine, slot, image);
}

/* Of the image's outputs; a folded batch is one image here. */
static void clear_borders(const product_job *j, int32_t image)
{
    const dy_gemm *gemm = &j->step->gemm;
    const int32_t last = image + (gemm->fold ? j->engine->count : 1);
    int32_t i;
    for (; image < last; image++)
        for (i = 0; i < gemm->output_count; i++)
            clear_border(j->engine, j->engine->plan->slots[gemm->outputs[i].slot].root, image);
}

/* What blocks are cut by, so that no tile's weights are cut. */
static int32_t blocks_at_once(const dy_gemm *gemm)
{
    const int32_t group = gemm->group_blocks;
    const int whole = group == gemm->blocks || group % TASK_BLOCKS == 0 || TASK_BLOCKS % group == 0;
    return whole ? TASK_BLOCKS : group;
}

/* Where a part of the positions begins. */
static int32_t share_of_positions(const product_job *j, int32_t part)
{
    const int64_t all = (j->positions + j->whole - 1) / j->whole;
    return dy_smaller((int32_t)(all * part / j->position_parts) * j->whole, j->positions);
}

/* Where a part of the blocks begins. */
static int32_t share_of_blocks(const product_job *j, int32_t part)
{
    const int32_t all = j->step->gemm.blocks, each = blocks_at_once(&j->step->gemm);
    const int32_t blocks = (all + each - 1) / each * part / j->block_parts * each;
    return blocks < all ? blocks : all;
}

static void product_task(void *context, int64_t task, int32_t thread)
{
    const product_job *j = context;
    const dy_engine *engine = j->engine;
    const dy_gemm *gemm = &j->step->gemm;
    const int64_t run = j->run, round = run * j->block_parts;
    const int64_t place = task / round * run + task % run;
    const int32_t blocks = (int32_t)(task % round / run);
    const int32_t part = (int32_t)(place % j->position_parts);
    const int32_t image = engine->first + (int32_t)(place / j->position_parts);
    dy_product p = {0};
    int32_t i;
    if (part == 0 && blocks == 0)
        clear_borders(j, image);
    p.gemm = gemm;
    p.window = &j->step->window;
    p.in = operand(j, j->step->source, image);
    if (gemm->add >= 0)
        p.residual = operand(j, gemm->add, image);
    for (i = 0; i < gemm->output_count; i++)
        p.outputs[i] = operand(j, gemm->outputs[i].slot, image);
    p.first = share_of_positions(j, part);
    p.last = share_of_positions(j, part + 1);
    p.first_block = share_of_blocks(j, blocks);
    p.last_block = share_of_blocks(j, blocks + 1);
    p.scratch = engine->scratch[thread];
    if (gemm->patch)
        dy_winograd(&p);
    else
        dy_multiply(&p);
}

/* Bytes. */
static int64_t weights_of(const dy_gemm *gemm)
{
    const int32_t points = gemm->patch ? gemm->points * gemm->points : 1;
    return (int64_t)points * gemm->words * 64 * gemm->blocks;
}

static int32_t at_least_one(int64_t parts, int64_t most)
{
    return (int32_t)(parts < 1 || most < 1 ? 1 : parts < most ? parts : most);
}

/* Weights of a task stay in the second-level cache; a task is worth starting; a gathering fits. A
 * thread has all channels of its own images, or a part of the weights if they are many. */
static void cut(product_job *j)
{
    const dy_gemm *gemm = &j->step->gemm;
    const int64_t weights = weights_of(gemm);
    const int64_t products = weights * j->positions * j->images;
    const int64_t wanted = at_least_one(products / TASK_PRODUCTS, j->engine->threads * SHARES);
    const int64_t each = (wanted + j->images - 1) / j->images;
    const int32_t at_once = blocks_at_once(gemm);
    const int32_t groups = (gemm->blocks + at_once - 1) / at_once;
    j->block_parts = at_least_one((weights + TASK_WEIGHTS - 1) / TASK_WEIGHTS, groups);
    while (groups % j->block_parts)
        j->block_parts++;
    j->position_parts = at_least_one((each + j->block_parts - 1) / j->block_parts,
                                     j->positions * j->pixels / TASK_POSITIONS);
    if (!gemm->in_place && j->positions > (int64_t)gemm->limit * j->position_parts)
        j->position_parts = (j->positions + gemm->limit - 1) / gemm->limit;
    while (j->block_parts * j->position_parts < each && j->block_parts * 2 <= groups)
        j->block_parts *= 2;
    if (j->position_parts * j->whole > j->positions)
        j->whole = 1;
    j->run = j->images * j->position_parts;
    if (weights <= NEAR_WEIGHTS && j->images % j->engine->threads == 0)
        j->run /= j->engine->threads;
}

static void run_product(dy_engine *engine, const dy_step *step)
{
    product_job j = {engine, step, step->gemm.fold ? 1 : engine->count, 0, 1, 1, 1, 1, 1};
    const dy_tensor out = operand(&j, step->target, 0);
    const int32_t patch = step->gemm.patch;
    j.pixels = patch ? patch * patch : 1;
    j.positions = patch ? dy_patches(&step->gemm, out.height) * dy_patches(&step->gemm, out.width)
                        : out.height * out.width;
    j.whole = patch ? dy_patches_of_tile(&step->gemm) : step->gemm.in_place ? out.width : 1;
    cut(&j);
    dy_pool_run(engine->pool, product_task, &j,
                (int64_t)j.images * j.position_parts * j.block_parts);
}

/* ---- steps ----------------------------------------------------------------------------- */

static void run_step(dy_engine *engine, const dy_step *step)
{
    job j = {engine, step, 0, 1};
    const dy_tensor *out = &engine->plan->slots[step->target].view;
    const int64_t shares = work_of(step, out) * engine->count / SMALL + 1;
    const int64_t wanted = ((int64_t)engine->threads * SHARES + engine->count - 1) / engine->count;
    const int64_t parts = shares < wanted ? shares : wanted;
    j.rows = rows_of(engine, step);
    j.parts = (int32_t)(parts < j.rows ? parts : j.rows);
    dy_pool_run(engine->pool, rows_task, &j, (int64_t)engine->count * j.parts);
}

/* Nanoseconds. */
static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * (int64_t)1000000000 + t.tv_nsec;
}

/* Steps [begin, end) for `each` images after another. */
static void run_steps(dy_engine *engine, int32_t begin, int32_t end, int32_t each)
{
    int32_t i;
    for (engine->first = 0; engine->first < engine->images; engine->first += each) {
        const int32_t left = engine->images - engine->first;
        engine->count = left < each ? left : each;
        for (i = begin; i < end; i++) {
            const int64_t started = engine->spent ? now() : 0;
            if (engine->plan->steps[i].kind == DY_STEP_GEMM)
                run_product(engine, engine->plan->steps + i);
            else
                run_step(engine, engine->plan->steps + i);
            if (engine->spent)
                engine->spent[i] += now() - started;
        }
    }
}

void dy_run(dy_engine *engine, const uint8_t *pixels, int32_t images)
{
    engine->pixels = pixels;
    engine->images = images;
    run_steps(engine, 0, engine->split, engine->threads);
    run_steps(engine, engine->split, engine->plan->step_count, images);
}

void dy_profile(dy_engine *engine, const uint8_t *pixels, int32_t images, int64_t *spent)
{
    engine->spent = spent;
    dy_run(engine, pixels, images);
    engine->spent = NULL;
}

/* Large images go through the first steps a few at a time, so that a step still finds in the cache
 * what the one before has made; from the first layer with more weights than activations on, the
 * batch shares the weights. */
static int32_t split_of(const dy_plan *plan)
{
    int32_t i;
    for (i = 0; i < plan->step_count; i++) {
        const dy_step *step = plan->steps + i;
        if (step->kind == DY_STEP_GEMM
            && weights_of(&step->gemm) > plan->slots[step->source].size + plan->slots[step->target].size)
            break;
    }
    return i;
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

/* Bytes of all images' activations. */
static int64_t arena_of(const dy_engine *engine)
{
    return engine->plan->arena * engine->capacity + engine->plan->slack;
}

/* Behind every tensor of every image is a page that nobody may touch; the layout leaves room. */
static int guard_tensors(const dy_engine *engine)
{
#ifdef DY_GUARD
    const dy_plan *plan = engine->plan;
    int32_t image, slot;
    for (image = 0; image < engine->capacity; image++)
        for (slot = 0; slot < plan->slot_count; slot++) {
            const dy_slot *s = plan->slots + slot;
            uint8_t *end = engine->arena + plan->arena * image + s->offset + s->size;
            if (!dy_memory_guard(end))
                return 0;
        }
#else
    (void)engine;
#endif
    return 1;
}

static int has_memory(const dy_engine *engine)
{
    int32_t i;
    for (i = 0; i < engine->threads && engine->scratch[i]; i++) {
    }
    return i == engine->threads && engine->arena && engine->pool && guard_tensors(engine);
}

int32_t dy_knows(const dy_plan *plan)
{
    int32_t i;
    for (i = 0; i < plan->step_count; i++)
        if (plan->steps[i].kind < 0 || plan->steps[i].kind >= DY_STEP_KINDS)
            return 0;
    return 1;
}

dy_engine *dy_open(const dy_plan *plan, int32_t images, int32_t threads)
{
    dy_engine *engine = NULL;
    int32_t i;
    if (dy_knows(plan))
        engine = calloc(1, sizeof *engine + (size_t)threads * sizeof engine->scratch[0]);
    if (!engine)
        return NULL;
    engine->plan = plan;
    engine->split = split_of(plan);
    engine->threads = threads;
    engine->capacity = images;
    engine->arena = dy_memory(arena_of(engine));
    for (i = 0; i < threads; i++)
        engine->scratch[i] = dy_memory(plan->scratch);
    engine->pool = dy_pool_open(threads);
    if (has_memory(engine))
        return engine;
    dy_close(engine);
    return NULL;
}

void dy_close(dy_engine *engine)
{
    int32_t i;
    if (engine->pool)
        dy_pool_close(engine->pool);
    for (i = 0; i < engine->threads; i++)
        dy_memory_free(engine->scratch[i], engine->plan->scratch);
    dy_memory_free(engine->arena, arena_of(engine));
    free(engine);
}
