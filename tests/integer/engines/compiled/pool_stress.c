/* Jobs of a few tasks, one after another: every task must run once, and before dy_pool_run returns.
 * A pool ends after some jobs, or before its threads have seen one, and another takes its place.
 * pool_stress THREADS JOBS */
#include "dyadic_pool.h"

#include <stdio.h>
#include <stdlib.h>

enum { TASKS = 9, JOBS_OF_A_POOL = 64 };

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
    const int32_t threads = count_of_arguments == 3 ? atoi(arguments[1]) : 1;
    dy_pool *pool = dy_pool_open(threads);
    int64_t wrong = 0;
    int32_t job;
    if (!pool)
        return 2;
    for (job = 0; job < jobs; job++) {
        wrong += run(pool, job);
        if (job % JOBS_OF_A_POOL)
            continue;
        dy_pool_close(pool);
        dy_pool_close(dy_pool_open(threads));
        pool = dy_pool_open(threads);
    }
    dy_pool_close(pool);
    printf("%lld of %d jobs\n", (long long)wrong, jobs);
    return wrong != 0;
}
