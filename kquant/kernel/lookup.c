/* From the labels of colours to those of pixels, by tables of the colours. */
#include "bits.h"
#include "find.h"
#include "kquant.h"
#include "morton.h"

#include <string.h>

void kq_lookup_build(const uint32_t *codes, const uint8_t *labels, size_t n,
                     uint32_t *slots, uint8_t *table)
{
    uint32_t cells = 0, last = KQ_CELLS;
    for (size_t i = 0; i < n; i++) {
        uint32_t cell = codes[i] / KQ_CELL_SIZE;
        if (cell != last) {
            memset(table + (size_t)cells * KQ_CELL_SIZE, labels[i], KQ_CELL_SIZE);
            slots[last = cell] = cells++;
        }
        table[(size_t)(cells - 1) * KQ_CELL_SIZE + codes[i] % KQ_CELL_SIZE] = labels[i];
    }
}

void kq_lookup(const kq_image *image, const uint32_t *slots, const uint8_t *table,
               uint8_t *indices)
{
    /* Two rounds over each batch, as in find.h. */
    size_t at[BATCH];
    for (size_t y = 0; y < image->height; y++) {
        const uint8_t *pixel = image->data + (ptrdiff_t)y * image->row;
        for (size_t x = 0, count; x < image->width; x += count) {
            count = image->width - x < BATCH ? image->width - x : BATCH;
            for (size_t j = 0; j < count; j++, pixel += image->pixel) {
                const uint32_t code = pixel_code(image, pixel);
                const size_t slot = slots[code / KQ_CELL_SIZE];
                at[j] = slot * KQ_CELL_SIZE + code % KQ_CELL_SIZE;
                kq_prefetch(table + at[j]);
            }
            for (size_t j = 0; j < count; j++)
                *indices++ = table[at[j]];
        }
    }
}

/* Every code writes its whole word again, so that none has to wait to read it; and
there is no branch, since no predictor can foresee how many codes share a word. */
void kq_rank_build(const uint32_t *codes, size_t n, uint64_t *ranks)
{
    uint64_t filled = 0;
    uint32_t last = KQ_RANK_WORDS;
    for (size_t i = 0; i < n; i++) {
        const uint32_t word = codes[i] / KQ_RANK_CODES;
        const uint64_t first = (uint64_t)i << 32, mask = 0 - (uint64_t)(word == last);
        filled = (filled & mask) | (first & ~mask);
        filled |= (uint64_t)1 << codes[i] % KQ_RANK_CODES;
        ranks[last = word] = filled;
    }
}

void kq_hash_build(const uint32_t *codes, size_t n, size_t size, uint32_t *table)
{
    memset(table, 0, size * sizeof *table);
    for (size_t i = 0; i < n; i++) {
        size_t slot = first_slot(codes[i], size);
        while (table[slot])
            slot = (slot + RUN + 1) & (size - 1);
        table[slot] = (uint32_t)i + 1;
    }
}

void kq_hash_lookup(const kq_image *image, const kq_color_index *color_index,
                    const uint8_t *labels, uint32_t *found, uint8_t *indices)
{
    for (size_t y = 0; y < image->height; y++) {
        find_in_hash(image, y, color_index, found);
        for (size_t x = 0; x < image->width; x++)
            *indices++ = labels[found[x]];
    }
}
