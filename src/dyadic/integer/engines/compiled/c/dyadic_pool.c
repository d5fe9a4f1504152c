#define _GNU_SOURCE
#include "dyadic_pool.h"

#include "dyadic_kernels.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#define CLOSED UINT32_MAX                  /* more tasks than a job may have */

enum { SPINS = 4000 }; /* some 30 microseconds of waiting before a thread goes to sleep */

/* A thread, and its share of a job: the job's number (high 32 bits) and the next task (low 32 bits),
 * and the task at which it ends. */
typedef struct {
    uint64_t state;
    int64_t end;
    pthread_t handle;
    uint8_t apart[40];                     /* no two states are in one line */
} share;

/* A thread takes the tasks of its own share, about the same part of every job, so that its cache has
 * what it made before; then what is left of the others'. A task is taken by compare-and-swap of a
 * share's whole state. Before a job's fields change, all shares are closed, under a number of its own:
 * a thread that reads a new field and still holds the state from before cannot swap it. The caller
 * waits for tasks, not for threads: a thread that the system has not scheduled (other processes run
 * too) holds nobody up. */
struct dy_pool {
    dy_task *task;
    void *context;
    int64_t done;
    int32_t threads, room, sleeping, closing; /* room: shares, of threads that did not start too */
    pid_t owner;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    share shares[];
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

/* Takes a share's tasks until none is left; returns the state that it saw last. */
static uint64_t take(dy_pool *pool, share *from, int32_t thread)
{
    uint64_t seen = __atomic_load_n(&from->state, __ATOMIC_ACQUIRE);
    for (;;) {
        dy_task *task = __atomic_load_n(&pool->task, __ATOMIC_ACQUIRE);
        void *context = __atomic_load_n(&pool->context, __ATOMIC_ACQUIRE);
        const int64_t next = (int64_t)(uint32_t)seen;
        if (next >= __atomic_load_n(&from->end, __ATOMIC_ACQUIRE))
            return seen;
        if (!__atomic_compare_exchange_n(&from->state, &seen, seen + 1, 0, __ATOMIC_ACQ_REL,
                                         __ATOMIC_ACQUIRE))
            continue;
        task(context, next, thread);
        __atomic_add_fetch(&pool->done, 1, __ATOMIC_RELEASE);
        seen = __atomic_load_n(&from->state, __ATOMIC_ACQUIRE);
    }
}

/* Its own share first; returns the state of that. */
static uint64_t work(dy_pool *pool, int32_t thread)
{
    const uint64_t seen = take(pool, pool->shares + thread, thread);
    int32_t i;
    for (i = 1; i < pool->room; i++)
        take(pool, pool->shares + (thread + i) % pool->room, thread);
    return seen;
}

/* Closing is asked for beside the state: a thread may have seen the last state before it was told. */
static int called(const dy_pool *pool, int32_t thread, uint64_t seen)
{
    return __atomic_load_n(&pool->shares[thread].state, __ATOMIC_SEQ_CST) >> 32 != seen >> 32
           || __atomic_load_n(&pool->closing, __ATOMIC_SEQ_CST);
}

static void wait_for_job(dy_pool *pool, int32_t thread, uint64_t seen)
{
    int spins;
    for (spins = 0; spins < SPINS; spins++) {
        if (called(pool, thread, seen))
            return;
        pause_briefly();
    }
    pthread_mutex_lock(&pool->lock);
    __atomic_add_fetch(&pool->sleeping, 1, __ATOMIC_SEQ_CST);
    while (!called(pool, thread, seen))
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
        wait_for_job(self.pool, self.thread, work(self.pool, self.thread));
    }
    return NULL;
}

/* A state under the next number. */
static void renew(share *of, int64_t next)
{
    const uint64_t number = __atomic_load_n(&of->state, __ATOMIC_RELAXED) >> 32;
    __atomic_store_n(&of->state, (number + 1) << 32 | (uint64_t)next, __ATOMIC_SEQ_CST);
    delay();
}

static void publish(dy_pool *pool, dy_task *task, void *context, int64_t count)
{
    int64_t i;
    for (i = 0; i < pool->threads; i++)
        renew(pool->shares + i, CLOSED);
    for (i = 0; i < pool->threads; i++) {
        __atomic_store_n(&pool->shares[i].end, count * (i + 1) / pool->threads, __ATOMIC_RELEASE);
        delay();
    }
    __atomic_store_n(&pool->task, task, __ATOMIC_RELEASE);
    delay();
    __atomic_store_n(&pool->context, context, __ATOMIC_RELEASE);
    __atomic_store_n(&pool->done, 0, __ATOMIC_RELEASE);
    delay();
    for (i = 0; i < pool->threads; i++)
        renew(pool->shares + i, count * i / pool->threads);
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
    if (pthread_create(&pool->shares[thread].handle, NULL, worker_main, self) == 0)
        return 1;
    free(self);
    return 0;
}

dy_pool *dy_pool_open(int32_t threads)
{
    dy_pool *pool = calloc(1, sizeof *pool + (size_t)threads * sizeof(share));
    int32_t i;
    if (!pool)
        return NULL;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pool->owner = getpid();
    pool->room = threads;
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
            pthread_join(pool->shares[i].handle, NULL);
    }
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}
