/*
 * Drawing indices in Zipf order: few are asked for often, many seldom.
 *
 * The method is that of Gray et al., "Quickly generating billion-record
 * synthetic databases" (1994), over xorshift64*. A shape is read by all
 * threads, a sequence belongs to one.
 */
#include "zipf.h"

#include <math.h>

/* The first outputs of small seeds are alike. */
#define DISCARDED 16

static double zeta(uint64_t count)
{
    double sum = 0;
    for (uint64_t i = 1; i <= count; i++)
        sum += pow((double)i, -ZIPF_EXPONENT);
    return sum;
}

void zipf_shape_init(zipf_shape *shape, uint64_t count)
{
    double rest = 1 - ZIPF_EXPONENT;
    shape->count = count;
    shape->zetan = zeta(count);
    shape->alpha = 1 / rest;
    shape->eta =
        (1 - pow(2.0 / (double)count, rest)) / (1 - zeta(2) / shape->zetan);
}

static uint64_t draw_bits(zipf *zipf)
{
    uint64_t x = zipf->state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    zipf->state = x;
    return x * UINT64_C(2685821657736338717);
}

void zipf_init(zipf *zipf, const zipf_shape *shape, unsigned thread)
{
    zipf->shape = shape;
    zipf->state = thread + 1;
    for (int i = 0; i < DISCARDED; i++)
        draw_bits(zipf);
}

static double draw_share(zipf *zipf)
{
    return (double)(draw_bits(zipf) >> 11) / 9007199254740992.0;
}

static uint64_t draw_rank(zipf *zipf)
{
    const zipf_shape *shape = zipf->shape;
    double u = draw_share(zipf);
    double uz = u * shape->zetan;
    if (uz < 1)
        return 0;
    if (uz < 1 + pow(0.5, ZIPF_EXPONENT))
        return 1;
    double rank = (double)shape->count *
                  pow(shape->eta * u - shape->eta + 1, shape->alpha);
    uint64_t whole = (uint64_t)rank;
    return whole < shape->count ? whole : shape->count - 1;
}

double zipf_draw_share(zipf *zipf)
{
    return draw_share(zipf);
}

uint64_t zipf_draw(zipf *zipf)
{
    /* Scattered, so that neighbours in the source are not alike. */
    uint64_t scattered = draw_rank(zipf) * UINT64_C(2654435761) + 12345;
    return scattered % zipf->shape->count;
}
