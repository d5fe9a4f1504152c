/* Jobs of a few tasks, one after another: every task must run once, and before dy_pool_run returns.
 * pool_stress THREADS JOBS */
#include "dyadic_pool.h"

#include <stdio.h>
#include <stdlib.h>

enum { TASKS = 9 };

static void count(void *context, int64_t task, int32_t thread)
{
    (void)thread;
    __atomic_add_fetch((int32_t *)context + task, 1, __ATOMIC_RELAXED);
}

/* Tasks that did not run once. */
static int64_t run(dy_pool *pool, int32_t job)
{
    static int32_t runs[2][TASKS];
    int32_t *now = runs[job % 2], i;
    int64_t wrong = 0;
    const int32_t tasks = 2 + job % (TASKS - 1);
    for (i = 0; i < TASKS; i++)
        __atomic_store_n(now + i, 0, __ATOMIC_RELAXED);
    dy_pool_run(pool, count, now, tasks);
    for (i = 0; i < TASKS; i++)
        wrong += __atomic_load_n(now + i, __ATOMIC_RELAXED) != (i < tasks);
    return wrong;
}

int main(int count_of_arguments, char **arguments)
{
    const int32_t jobs = count_of_arguments == 3 ? atoi(arguments[2]) : 0;
    dy_pool *pool = dy_pool_open(count_of_arguments == 3 ? atoi(arguments[1]) : 1);
    int64_t wrong = 0;
    int32_t job;
    if (!pool)
        return 2;
    for (job = 0; job < jobs; job++)
        wrong += run(pool, job);
    dy_pool_close(pool);
    printf("%lld of %d jobs\n", (long long)wrong, jobs);
    return wrong != 0;
}
