/* From the pixels of a row to the ranks of their colours: their positions in the list
of distinct colours. */
#ifndef KQUANT_FIND_H
#define KQUANT_FIND_H

#include "bits.h"
#include "kquant.h"
#include "morton.h"

/* These go over each batch twice: first they ask for the memory of all its pixels, then
they read it. So the memory of many pixels is on its way at once.

A colour that is not in the list may get any rank, n included: those who look something
up by it have an element more. It is not worth a comparison for every pixel. */

static inline void find_in_ranks(const kq_image *image, size_t y, const uint64_t *ranks,
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
            const uint64_t word = ranks[codes[j] / KQ_RANK_CODES];
            const uint32_t below = ((uint32_t)1 << codes[j] % KQ_RANK_CODES) - 1;
            *found++ =
                (uint32_t)(word >> 32) + (uint32_t)kq_ones((uint32_t)word & below);
        }
    }
}

/* Codes of one run, RUN in a row, have neighbouring slots: their memory is close
together. */
#define RUN 16

/* The slot to look at first. */
static inline size_t first_slot(uint32_t code, size_t size)
{
    const uint32_t run = (code / RUN) * 2654435761u; /* 2^32 over the golden ratio */
    return ((run ^ run >> 15) * (size_t)RUN + code % RUN) & (size - 1);
}

static inline void find_in_hash(const kq_image *image, size_t y,
                                const kq_color_index *color_index, uint32_t *found)
{
    const uint8_t *pixel = image->data + (ptrdiff_t)y * image->row;
    uint32_t codes[BATCH];
    size_t slots[BATCH];
    for (size_t x = 0, count; x < image->width; x += count) {
        count = image->width - x < BATCH ? image->width - x : BATCH;
        for (size_t j = 0; j < count; j++, pixel += image->pixel) {
            codes[j] = any_code(image, pixel);
            slots[j] = first_slot(codes[j], color_index->size);
            kq_prefetch(color_index->table + slots[j]);
        }
        for (size_t j = 0; j < count; j++) {
            size_t slot = slots[j];
            while (color_index->table[slot]
                   && color_index->codes[color_index->table[slot] - 1] != codes[j])
                slot = (slot + RUN + 1) & (color_index->size - 1);
            *found++ = color_index->table[slot] ? color_index->table[slot] - 1 : 0;
        }
    }
}

/* The ranks of the colours of row y: found[width]. */
KQ_INLINE void find_colors(const kq_image *image, size_t y,
                           const kq_color_index *color_index, uint32_t *found)
{
    if (image->channels == KQ_RGB)
        find_in_ranks(image, y, color_index->ranks, found);
    else
        find_in_hash(image, y, color_index, found);
}

#endif
