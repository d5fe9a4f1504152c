/* A pool of threads that share the tasks of a job: each begins with a part of its own. */
#ifndef DYADIC_POOL_H
#define DYADIC_POOL_H

#include <stdint.h>

typedef struct dy_pool dy_pool;
typedef void dy_task(void *context, int64_t task, int32_t thread);

/* `threads` includes the caller's; NULL if a thread cannot be started. */
dy_pool *dy_pool_open(int32_t threads);
void dy_pool_close(dy_pool *pool);

/* task(context, i, thread) for i in 0 .. count - 1, in any order; returns when all are done. */
void dy_pool_run(dy_pool *pool, dy_task *task, void *context, int64_t count);

#endif
