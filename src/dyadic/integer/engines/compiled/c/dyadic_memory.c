#define _GNU_SOURCE
#include "dyadic_memory.h"

#include <stdlib.h>
#include <sys/mman.h>

#ifdef DY_GUARD

enum { PAGE = 4096, BEHIND = 32 };         /* as many times the memory's size are guarded */

static size_t pages(int64_t bytes)
{
    return (size_t)((bytes + PAGE - 1) / PAGE * PAGE);
}

uint8_t *dy_memory(int64_t bytes)
{
    const size_t size = pages(bytes);
    uint8_t *map = mmap(NULL, size * (1 + BEHIND), PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED || mprotect(map, size, PROT_READ | PROT_WRITE))
        return NULL;
    return map + size - bytes;
}

void dy_memory_free(uint8_t *memory, int64_t bytes)
{
    if (memory)
        munmap(memory + bytes - pages(bytes), pages(bytes) * (1 + BEHIND));
}

int dy_memory_guard(uint8_t *end)
{
    return mprotect(end + (size_t)(-(intptr_t)end & (PAGE - 1)), PAGE, PROT_NONE) == 0;
}

#else

enum { LINE = 64, LARGE = 1 << 21 };

/* In large pages, where there is enough to fill one and the system gives them to who asks. */
uint8_t *dy_memory(int64_t bytes)
{
    const int64_t each = bytes < LARGE / 2 ? LINE : LARGE;
    const size_t size = (size_t)((bytes + each - 1) / each * each);
    uint8_t *memory = aligned_alloc((size_t)each, size);
#ifdef MADV_HUGEPAGE
    if (memory && each == LARGE)
        madvise(memory, size, MADV_HUGEPAGE);
#endif
    return memory;
}

void dy_memory_free(uint8_t *memory, int64_t bytes)
{
    (void)bytes;
    free(memory);
}

#endif
