/* Rescaling and pooling on whole vectors; the same as their namesakes in dyadic_kernels.h. */
#ifndef DYADIC_VECTOR_H
#define DYADIC_VECTOR_H

#include "dyadic_gemm.h"

/* Lanes by high words. */
void dy_vector_requantize(const dy_lanes *lanes, const dy_tensor *in, const dy_tensor *out,
                          int32_t first, int32_t last);

/* Input and output have the same type, of at most 16 bits. */
void dy_vector_max_pool(const dy_window *window, const dy_tensor *in, const dy_tensor *out,
                        int32_t first, int32_t last);

#endif
