#include "dyadic_packed.h"

static const int32_t type_size[] = {1, 1, 2, 4};    /* by dy_tensor.type */
static const int32_t form_size[] = {1, 2, 4, 8, 1}; /* by dy_conv.form */

dy_tensor dy_at(void *arena, const dy_place *place)
{
    dy_tensor t;
    t.data = (uint8_t *)arena + place->offset;
    t.type = place->type;
    t.channels = place->channels;
    t.height = place->height;
    t.width = place->width;
    t.stride = place->stride;
    t.pitch = place->pitch;
    return t;
}

/* Codes [first, first + count) as the levels that they stand for; eight codes are `bits` bytes. */
#define DEFINE_UNPACK(NAME, TYPE)                                                                \
    static void NAME(const uint8_t *codes, int64_t first, int64_t count, int32_t bits,           \
                     const TYPE *levels, TYPE *to)                                               \
    {                                                                                            \
        const uint64_t mask = ((uint64_t)1 << bits) - 1;                                         \
        const uint8_t *next = codes + (first * bits >> 3);                                       \
        const int32_t skip = (int32_t)(first * bits & 7);                                        \
        uint64_t word = (uint64_t)*next++ >> skip;                                               \
        int32_t have = 8 - skip, i;                                                              \
        for (; have == 8 && bits <= 8 && count >= 8; count -= 8, to += 8) {                      \
            for (i = 1; i < bits; i++)                                                           \
                word |= (uint64_t)*next++ << 8 * i;                                              \
            for (i = 0; i < 8; i++)                                                              \
                to[i] = levels[word >> i * bits & mask];                                         \
            word = count > 8 ? *next++ : 0;                                                      \
        }                                                                                        \
        for (; count > 0; count--) {                                                             \
            for (; have < bits; have += 8)                                                       \
                word |= (uint64_t)*next++ << have;                                               \
            *to++ = levels[word & mask];                                                         \
            word >>= bits;                                                                       \
            have -= bits;                                                                        \
        }                                                                                        \
    }

DEFINE_UNPACK(unpack_8, uint8_t)
DEFINE_UNPACK(unpack_16, uint16_t)
DEFINE_UNPACK(unpack_32, uint32_t)
DEFINE_UNPACK(unpack_64, uint64_t)

static void unpack(const dy_packed *layer, const void *levels, int64_t first, int64_t count,
                   void *to)
{
    switch (form_size[layer->conv.form]) {
    case 1:
        unpack_8(layer->codes, first, count, layer->bits, levels, to);
        break;
    case 2:
        unpack_16(layer->codes, first, count, layer->bits, levels, to);
        break;
    case 4:
        unpack_32(layer->codes, first, count, layer->bits, levels, to);
        break;
    default:
        unpack_64(layer->codes, first, count, layer->bits, levels, to);
    }
}

/* Channels [first, first + count) of the output, whole groups or a part of one. */
static void convolve_part(const dy_packed *layer, int32_t groups, int32_t first, int32_t count,
                          const dy_tensor *in, const dy_tensor *out, void *patch, uint8_t *rows)
{
    const dy_window *w = &layer->conv.window;
    const int64_t depth = (int64_t)w->height * w->width * layer->conv.group_in;
    uint8_t *odd = rows + count * depth * form_size[layer->conv.form];
    dy_conv part = layer->conv;
    dy_tensor to = *out;
    part.groups = groups;
    part.weights = rows;
    unpack(layer, layer->levels, first * depth, count * depth, rows);
    if (layer->odd_levels) {
        part.odd = odd;
        unpack(layer, layer->odd_levels, first * depth, count * depth, odd);
    }
    part.bias = (const uint8_t *)part.bias + (int64_t)first * (part.wide ? 8 : 4);
    if (part.scale.per_channel) {
        part.scale.b += first;
        part.scale.c += first;
        if (part.odd_b)
            part.odd_b += first;
    }
    to.data += (int64_t)first * type_size[to.type];
    to.channels = count;
    dy_convolve(&part, in, &to, patch, 0, to.height);
}

void dy_convolve_packed(const dy_packed *layer, const dy_tensor *in, const dy_tensor *out,
                        void *patch, void *rows)
{
    const int32_t each = layer->conv.group_out;
    int32_t group, channel, groups, count;
    for (group = 0; group < layer->conv.groups; group += layer->groups) {
        dy_tensor from = *in;
        from.data += (int64_t)group * layer->conv.group_in * type_size[in->type];
        groups = layer->conv.groups - group < layer->groups ? layer->conv.groups - group
                                                            : layer->groups;
        for (channel = 0; channel < each; channel += layer->outputs) {
            dy_packed part = *layer;
            count = each - channel < layer->outputs ? each - channel : layer->outputs;
            part.conv.group_out = count;
            convolve_part(&part, groups, group * each + channel, groups * count, &from, out, patch,
                          rows);
        }
    }
}
