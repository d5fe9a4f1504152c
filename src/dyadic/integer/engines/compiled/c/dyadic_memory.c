#define _GNU_SOURCE
#include "dyadic_memory.h"

#include <stdlib.h>

#ifdef DY_GUARD

#include <sys/mman.h>

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

enum { LINE = 64 };

uint8_t *dy_memory(int64_t bytes)
{
    return aligned_alloc(LINE, (size_t)bytes);
}

void dy_memory_free(uint8_t *memory, int64_t bytes)
{
    (void)bytes;
    free(memory);
}

#endif
