/* The reference's logits for images of noise. */
#include "dyadic_model.h"

#ifndef DYADIC_NO_ARENA
static const int32_t expected[@tests@][DYADIC_CLASSES] = {
@expected@
};

int dyadic_test(void)
{
    static uint8_t image[DYADIC_PIXELS];
    int32_t logits[DYADIC_CLASSES], i;
    uint32_t state = @seed@;
    int test, wrong = 0;
    for (test = 0; test < @tests@; test++) {
        for (i = 0; i < DYADIC_PIXELS; i++) {
            state = state * @factor@u + @increment@u;
            image[i] = (uint8_t)(state >> 24);
        }
        dyadic_classify(image, logits);
        for (i = 0; i < DYADIC_CLASSES; i++)
            wrong += logits[i] != expected[test][i];
    }
    return wrong != 0;
}
#endif
