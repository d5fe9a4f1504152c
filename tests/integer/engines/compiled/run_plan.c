/* Runs a plan that plans.py wrote, for builds that Python cannot load: run_plan FILE [THREADS [RUNS]].
 * The logits of the last run go to standard output, int32. */
#define _GNU_SOURCE
#include "dyadic_engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What stands at the file's begin; then the pointers' places, the pixels and the memory. */
typedef struct {
    int64_t memory, pointers, plan, slot, classes, images, pixels;
} header;

static void *must(void *made)
{
    if (!made)
        exit(2);
    return made;
}

static void *read_from(FILE *file, int64_t bytes)
{
    uint8_t *to = must(aligned_alloc(64, (size_t)(bytes + 63) / 64 * 64));
    if (fread(to, 1, (size_t)bytes, file) != (size_t)bytes)
        exit(2);
    return to;
}

/* A pointer is written as a place in the memory. */
static void set_pointer(uint8_t *memory, int64_t place)
{
    int64_t target;
    uint8_t *pointer;
    memcpy(&target, memory + place, sizeof target);
    pointer = memory + target;
    memcpy(memory + place, &pointer, sizeof pointer);
}

int main(int count, char **arguments)
{
    FILE *file = must(count > 1 ? fopen(arguments[1], "rb") : NULL);
    header *read = read_from(file, sizeof *read), h = *read;
    int64_t *places = read_from(file, h.pointers * 8), i;
    uint8_t *pixels = read_from(file, h.pixels), *memory = read_from(file, h.memory);
    int32_t *logits = must(malloc((size_t)(h.images * h.classes) * sizeof *logits));
    int32_t runs = count > 3 ? atoi(arguments[3]) : 1;
    dy_engine *engine;
    for (i = 0; i < h.pointers; i++)
        set_pointer(memory, places[i]);
    engine = must(dy_open((dy_plan *)(void *)(memory + h.plan), (int32_t)h.images,
                          count > 2 ? atoi(arguments[2]) : 1));
    while (runs--)
        dy_run(engine, pixels, (int32_t)h.images);
    dy_read(engine, (int32_t)h.slot, logits);
    fwrite(logits, sizeof *logits, (size_t)(h.images * h.classes), stdout);
    dy_close(engine);
    free(read);
    free(logits);
    free(memory);
    free(pixels);
    free(places);
    fclose(file);
    return 0;
}
