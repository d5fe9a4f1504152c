/* Runs a planned program on a batch: one arena for the activations, one pool of threads.
 *
 * binding.py reads the structures and constants from here and fills them in.
 */
#ifndef DYADIC_ENGINE_H
#define DYADIC_ENGINE_H

#include "dyadic_gemm.h"
#include "dyadic_kernels.h"

enum {
    DY_STEP_PIXELS,
    DY_STEP_NORMALIZE,
    DY_STEP_CONVOLVE,
    DY_STEP_GEMM,
    DY_STEP_REQUANTIZE,
    DY_STEP_THRESHOLD,
    DY_STEP_ADD,
    DY_STEP_RELU,
    DY_STEP_COPY,
    DY_STEP_MAX_POOL,
    DY_STEP_SUM_POOL,
    DY_STEP_SUM_SPANS,
    DY_STEP_REPEAT,
    DY_STEP_LOOKUP,
    DY_STEP_MULTIPLY,
    DY_STEP_SELECT,
    DY_STEP_PAD,
    DY_STEP_FLATTEN,
    DY_STEP_KINDS
};

/* Where a tensor lives in the arena of each image, with a border of zeros. */
typedef struct {
    dy_tensor view;                        /* data is not used */
    int64_t offset;                        /* bytes from the arena's begin */
    int64_t size;                          /* bytes of an image, border included */
    int64_t origin;                        /* bytes from an image's begin to its pixel (0, 0) */
    int32_t border_y, border_x;            /* zero rows above and below, zero pixels left or right */
    int32_t root;                          /* the slot that this one is a slice of; else itself */
} dy_slot;

typedef struct {
    int32_t kind;
    int32_t vector;                        /* by dyadic_vector.h; a scale is gemm.lanes */
    int32_t source, other, target;         /* slots; -1 for none, source -1 for the pixels */
    int32_t lo, hi;                        /* of an addition; lo of a table */
    int32_t count;                         /* of thresholds */
    int32_t times_y, times_x;              /* of a repetition */
    const int32_t *thresholds, *values;    /* values of a table too */
    const int32_t *channels;               /* of a selection */
    const int32_t *rows, *columns;         /* of sums over spans */
    const int32_t *bias;                   /* of a normalization */
    dy_scale scale;
    dy_window window;                      /* of a pooling; pad_y, pad_x of a padding */
    dy_conv conv;
    dy_gemm gemm;
} dy_step;

typedef struct {
    int32_t slot_count, step_count;
    const dy_slot *slots;
    const dy_step *steps;
    int64_t pixels;                        /* bytes of an input image */
    int64_t arena;                         /* bytes of activations for one image, whole lines */
    int64_t slack;                         /* bytes behind the last arena that may be read */
    int64_t scratch;                       /* bytes of a thread's own memory */
} dy_plan;

typedef struct dy_engine dy_engine;

/* `plan` must outlive the engine. NULL if there is no memory for `images` images, or a step is of
 * no kind above (dy_knows). */
dy_engine *dy_open(const dy_plan *plan, int32_t images, int32_t threads);
void dy_close(dy_engine *engine);

/* Whether all steps are of a kind above. */
int32_t dy_knows(const dy_plan *plan);

/* pixels [images][channels][height][width]; images at most what dy_open was told. */
void dy_run(dy_engine *engine, const uint8_t *pixels, int32_t images);

/* The same, and adds each step's nanoseconds to `spent`. */
void dy_profile(dy_engine *engine, const uint8_t *pixels, int32_t images, int64_t *spent);

/* A tensor of the last run, [images][channels][height][width]. */
void dy_read(const dy_engine *engine, int32_t slot, int32_t *to);

#endif
