/* @name@: an integer program without floating point, without division. */
#ifndef DYADIC_MODEL_H
#define DYADIC_MODEL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DYADIC_CHANNELS @channels@
#define DYADIC_HEIGHT @height@
#define DYADIC_WIDTH @width@
#define DYADIC_PIXELS @pixels@ /* bytes of an image, [channel][row][column] */
#define DYADIC_CLASSES @classes@

#define DYADIC_ARENA @arena@ /* bytes that a call works in */
#define DYADIC_CONSTANTS @constants@ /* bytes of weights, biases, multipliers and tables */
#define DYADIC_STACK @stack@ /* bytes of stack that a call takes at most */

/* The image's class, the index of the largest logit (the first of equals); the logits are on one
 * common scale. The arena is aligned as malloc's memory is; calls with arenas of their own may run
 * side by side. */
int dyadic_classify_in(void *arena, const uint8_t *image, int32_t *logits);

/* The same in a static arena, one call at a time; not there with DYADIC_NO_ARENA. */
int dyadic_classify(const uint8_t *image, int32_t *logits);

extern const char *const dyadic_class_names[DYADIC_CLASSES];

/* 0 if this build gives the right logits for some images of noise (in the static arena). */
int dyadic_test(void);

#ifdef __cplusplus
}
#endif

#endif
