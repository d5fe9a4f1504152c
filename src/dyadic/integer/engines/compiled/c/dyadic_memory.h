/* Memory that begins on a cache line. Built with DY_GUARD (for tests) it ends where nobody may read,
 * and so does every tensor of every image: a read beyond what is ours stops the process. */
#ifndef DYADIC_MEMORY_H
#define DYADIC_MEMORY_H

#include <stdint.h>

/* NULL if there is none. */
uint8_t *dy_memory(int64_t bytes);
void dy_memory_free(uint8_t *memory, int64_t bytes);

/* Nobody may touch the first page from `end` on; 0 if that cannot be had. Only with DY_GUARD. */
int dy_memory_guard(uint8_t *end);

#endif
