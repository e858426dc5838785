/* From the pixels of a row to the places of their colours in the list. */
#ifndef KQUANT_FIND_H
#define KQUANT_FIND_H

#include "bits.h"
#include "kquant.h"
#include "morton.h"

/* All in two rounds, so that the memory of many pixels is on its way at once. */

static inline void find_rank(const kq_image *image, size_t y, const uint64_t *ranks,
                             uint32_t *found)
{
    const uint8_t *pixel = image->data + (ptrdiff_t)y * image->row;
    uint32_t codes[BATCH];
    for (size_t x = 0, count; x < image->width; x += count) {
        count = image->width - x < BATCH ? image->width - x : BATCH;
        for (size_t j = 0; j < count; j++, pixel += image->pixel) {
            codes[j] = pixel_code(image, pixel);
            kq_prefetch(ranks + codes[j] / KQ_RANK_CODES);
        }
        for (size_t j = 0; j < count; j++) {
            const uint64_t rank = ranks[codes[j] / KQ_RANK_CODES];
            const uint32_t below = ((uint32_t)1 << codes[j] % KQ_RANK_CODES) - 1;
            *found++ =
                (uint32_t)(rank >> 32) + (uint32_t)kq_ones((uint32_t)rank & below);
        }
    }
}

/* Where to look first: codes that are close together stay close together. */
#define RUN 16

static inline size_t first_slot(uint32_t code, size_t size)
{
    const uint32_t run = (code / RUN) * 2654435761u; /* 2^32 over the golden ratio */
    return ((run ^ run >> 15) * (size_t)RUN + code % RUN) & (size - 1);
}

static inline void find_hash(const kq_image *image, size_t y, const kq_places *places,
                             uint32_t *found)
{
    const uint8_t *pixel = image->data + (ptrdiff_t)y * image->row;
    uint32_t codes[BATCH];
    size_t slots[BATCH];
    for (size_t x = 0, count; x < image->width; x += count) {
        count = image->width - x < BATCH ? image->width - x : BATCH;
        for (size_t j = 0; j < count; j++, pixel += image->pixel) {
            codes[j] = any_code(image, pixel);
            slots[j] = first_slot(codes[j], places->size);
            kq_prefetch(places->table + slots[j]);
        }
        for (size_t j = 0; j < count; j++) {
            size_t slot = slots[j];
            while (places->table[slot]
                   && places->codes[places->table[slot] - 1] != codes[j])
                slot = (slot + RUN + 1) & (places->size - 1);
            *found++ = places->table[slot] ? places->table[slot] - 1 : 0;
        }
    }
}

KQ_INLINE void find(const kq_image *image, size_t y, const kq_places *places,
                    uint32_t *found)
{
    if (image->channels == KQ_RGB)
        find_rank(image, y, places->ranks, found);
    else
        find_hash(image, y, places, found);
}

#endif
