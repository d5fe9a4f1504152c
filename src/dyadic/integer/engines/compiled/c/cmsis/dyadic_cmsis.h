/* @name@: an integer program as calls into CMSIS-NN. */
#ifndef DYADIC_CMSIS_H
#define DYADIC_CMSIS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DYADIC_CHANNELS @channels@
#define DYADIC_HEIGHT @height@
#define DYADIC_WIDTH @width@
#define DYADIC_PIXELS (DYADIC_CHANNELS * DYADIC_HEIGHT * DYADIC_WIDTH)
#define DYADIC_CLASSES @classes@
#define DYADIC_ARENA @arena@ /* bytes of activations */

/* Bytes that CMSIS-NN's functions want as a buffer; they depend on the processor. */
int32_t dyadic_buffer_size(void);

/* The image's class, the index of the largest logit (the first of equals), or -1 if CMSIS-NN
 * refuses a call. Image: [channel][row][column]. Arena and buffer are aligned as malloc's memory. */
int dyadic_classify(const uint8_t *image, int32_t *logits, void *arena, void *buffer);

/* 0 if this build gives the right logits for some images of noise. */
int dyadic_test(void *arena, void *buffer);

#ifdef __cplusplus
}
#endif

#endif
