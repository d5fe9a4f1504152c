#define _GNU_SOURCE
#include "dyadic_pool.h"

#include "dyadic_kernels.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#define CLOSED UINT32_MAX                  /* more tasks than a job may have */

enum { SPINS = 4000 }; /* some 30 microseconds of waiting before a thread goes to sleep */

/* `state` is the job's number (high 32 bits) and its next task (low 32 bits). A task is taken by
 * compare-and-swap of the whole. Before a job's fields change, `state` is closed, under a number of
 * its own: a thread that reads a new field and still holds the state from before cannot swap it.
 * The caller waits for tasks, not for threads: a thread that the system has not scheduled (other
 * processes run too) holds nobody up. */
struct dy_pool {
    uint64_t state;
    dy_task *task;
    void *context;
    int64_t count, done;
    int32_t threads, sleeping, closing;
    pid_t owner;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t handles[];
};

typedef struct {
    dy_pool *pool;
    int32_t thread;
} worker;

static void pause_briefly(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

/* Takes tasks until none is left; returns the state that it saw last. */
static uint64_t work(dy_pool *pool, int32_t thread)
{
    uint64_t seen = __atomic_load_n(&pool->state, __ATOMIC_ACQUIRE);
    for (;;) {
        dy_task *task = __atomic_load_n(&pool->task, __ATOMIC_ACQUIRE);
        void *context = __atomic_load_n(&pool->context, __ATOMIC_ACQUIRE);
        const int64_t next = (int64_t)(uint32_t)seen;
        if (next >= __atomic_load_n(&pool->count, __ATOMIC_ACQUIRE))
            return seen;
        if (!__atomic_compare_exchange_n(&pool->state, &seen, seen + 1, 0, __ATOMIC_ACQ_REL,
                                         __ATOMIC_ACQUIRE))
            continue;
        task(context, next, thread);
        __atomic_add_fetch(&pool->done, 1, __ATOMIC_RELEASE);
        seen = __atomic_load_n(&pool->state, __ATOMIC_ACQUIRE);
    }
}

/* Closing is asked for beside the state: a thread may have seen the last state before it was told. */
static int called(const dy_pool *pool, uint64_t seen)
{
    return __atomic_load_n(&pool->state, __ATOMIC_SEQ_CST) >> 32 != seen >> 32
           || __atomic_load_n(&pool->closing, __ATOMIC_SEQ_CST);
}

static void wait_for_job(dy_pool *pool, uint64_t seen)
{
    int spins;
    for (spins = 0; spins < SPINS; spins++) {
        if (called(pool, seen))
            return;
        pause_briefly();
    }
    pthread_mutex_lock(&pool->lock);
    __atomic_add_fetch(&pool->sleeping, 1, __ATOMIC_SEQ_CST);
    while (!called(pool, seen))
        pthread_cond_wait(&pool->wake, &pool->lock);
    __atomic_sub_fetch(&pool->sleeping, 1, __ATOMIC_SEQ_CST);
    pthread_mutex_unlock(&pool->lock);
}

/* Time for other threads to read what does not belong together yet; only in a build for tests. */
static void delay(void)
{
#ifdef DY_POOL_DELAY
    volatile int i;
    for (i = 0; i < DY_POOL_DELAY; i++) {
    }
#endif
}

static void *worker_main(void *argument)
{
    worker self = *(worker *)argument;
    free(argument);
    while (!__atomic_load_n(&self.pool->closing, __ATOMIC_SEQ_CST)) {
        delay();
        wait_for_job(self.pool, work(self.pool, self.thread));
    }
    return NULL;
}

static void publish(dy_pool *pool, dy_task *task, void *context, int64_t count)
{
    const uint64_t number = __atomic_load_n(&pool->state, __ATOMIC_RELAXED) >> 32;
    __atomic_store_n(&pool->state, (number + 1) << 32 | CLOSED, __ATOMIC_SEQ_CST);
    delay();
    __atomic_store_n(&pool->count, count, __ATOMIC_RELEASE);
    delay();
    __atomic_store_n(&pool->task, task, __ATOMIC_RELEASE);
    delay();
    __atomic_store_n(&pool->context, context, __ATOMIC_RELEASE);
    __atomic_store_n(&pool->done, 0, __ATOMIC_RELEASE);
    delay();
    __atomic_store_n(&pool->state, (number + 2) << 32, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&pool->sleeping, __ATOMIC_SEQ_CST)) {
        pthread_mutex_lock(&pool->lock);
        pthread_cond_broadcast(&pool->wake);
        pthread_mutex_unlock(&pool->lock);
    }
}

void dy_pool_run(dy_pool *pool, dy_task *task, void *context, int64_t count)
{
    int64_t i;
    int spins = 0;
    DY_REQUIRE(count >= 0 && count < CLOSED);
    /* A forked child has the memory of its parent's pool, but not its threads. */
    if (count == 1 || pool->threads == 1 || getpid() != pool->owner) {
        for (i = 0; i < count; i++)
            task(context, i, 0);
        return;
    }
    publish(pool, task, context, count);
    work(pool, 0);
    while (__atomic_load_n(&pool->done, __ATOMIC_ACQUIRE) < count) {
        pause_briefly();
        if (++spins > SPINS)
            sched_yield();
    }
}

static int start(dy_pool *pool, int32_t thread)
{
    worker *self = malloc(sizeof *self);
    if (!self)
        return 0;
    self->pool = pool;
    self->thread = thread;
    if (pthread_create(&pool->handles[thread], NULL, worker_main, self) == 0)
        return 1;
    free(self);
    return 0;
}

dy_pool *dy_pool_open(int32_t threads)
{
    dy_pool *pool = calloc(1, sizeof *pool + (size_t)threads * sizeof(pthread_t));
    int32_t i;
    if (!pool)
        return NULL;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pool->owner = getpid();
    for (i = 1; i < threads && start(pool, i); i++) {
    }
    pool->threads = i; /* fewer if the system has no more to give */
    return pool;
}

void dy_pool_close(dy_pool *pool)
{
    int32_t i;
    if (getpid() == pool->owner) {
        __atomic_store_n(&pool->closing, 1, __ATOMIC_SEQ_CST);
        publish(pool, NULL, NULL, 0);
        for (i = 1; i < pool->threads; i++)
            pthread_join(pool->handles[i], NULL);
    }
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}
