/* Layers whose weights are stored in their own width, and tensors by their place in an arena. */
#ifndef DYADIC_PACKED_H
#define DYADIC_PACKED_H

#include "dyadic_kernels.h"

typedef struct {
    int64_t offset;                        /* bytes from the arena's begin to channel 0 of (0, 0) */
    int32_t type;
    int32_t channels, height, width;
    int32_t stride, pitch;
} dy_place;

dy_tensor dy_at(void *arena, const dy_place *place);

typedef struct {
    dy_conv conv;                          /* weights and odd are NULL */
    const uint8_t *codes;                  /* `bits` bits each, the lowest bit of the first first:
                                            * [groups][group_out][taps * group_in] */
    const void *levels, *odd_levels;       /* weights of a code, of the type that conv.form names */
    int32_t bits;
    int32_t groups, outputs;               /* that are unpacked at a time; one group if outputs are
                                            * fewer than a group has */
} dy_packed;

/* patch as for dy_convolve; rows: the weights of `groups` x `outputs` channels, both planes. */
void dy_convolve_packed(const dy_packed *layer, const dy_tensor *in, const dy_tensor *out,
                        void *patch, void *rows);

#endif
