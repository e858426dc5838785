/* The nearest palette entry of any point of the colour space, by lists of near entries. */
#ifndef KQUANT_NEAREST_H
#define KQUANT_NEAREST_H

#include "bits.h"
#include "diffuse_simd.h"
#include "kquant.h"

#include <string.h>

/* Instead of the number of the next group: the list has yet to be made. */
#define UNMADE UINT32_MAX

/* Compared before they are made, with no use for the result. */
static void unmake(kq_group *group, uint32_t from)
{
    memset(group, 0, sizeof *group);
    group->next = UNMADE;
    group->from = from;
}

/* Cells are 0: their list is group 0, which has yet to be made. */
static void start(kq_near *near)
{
    unmake(near->groups, 0);
    near->used = 1;
}

static void forget_all(kq_near *near)
{
    memset(near->cells, 0, KQ_NEAR_CELLS * sizeof *near->cells);
    start(near);
}

static int32_t squared_distance(const int16_t *a, const int16_t *b)
{
    int32_t sum = 0;
    for (int c = 0; c < KQ_CHANNELS; c++)
        sum += (a[c] - b[c]) * (a[c] - b[c]);
    return sum;
}

static int nearest_in_group(const kq_group *group, const int16_t *at)
{
    const kq_group *groups[SIDE];
    const int16_t *from[SIDE];
    int nearest[SIDE];
    for (int i = 0; i < SIDE; i++) {
        groups[i] = group;
        from[i] = at;
    }
    nearest_in_groups(groups, join(from), nearest);
    return nearest[0];
}

/* In order, so ties go to the lowest index. */
static int nearest_in_list(const kq_near *near, const kq_group *group,
                           const int16_t *at)
{
    int32_t least = INT32_MAX;
    int nearest = 0;
    for (;;) {
        const int other = nearest_in_group(group, at);
        const int32_t next = squared_distance(near->palette + KQ_CHANNELS * other, at);
        nearest = next < least ? other : nearest;
        least = next < least ? next : least;
        if (!group->next)
            return nearest;
        group = near->groups + group->next;
    }
}

/* Lists are made entry by entry: the first group is given, others are taken as needed. */
typedef struct {
    kq_group *group;
    int count, last;
} list_end;

static void append(kq_near *near, list_end *to, int index)
{
    const int16_t *entry = near->palette + KQ_CHANNELS * index;
    if (to->count == KQ_GROUP) {
        to->group->next = (uint32_t)near->used;
        to->group = near->groups + near->used++;
        to->count = 0;
    }
    memcpy(to->group->xy[to->count], entry, 4);
    memcpy(to->group->zw[to->count], entry + 2, 4);
    to->group->index[to->count++] = (uint8_t)index;
    to->last = index;
}

static void finish(kq_near *near, list_end *to)
{
    while (to->count < KQ_GROUP)
        append(near, to, to->last);
    to->group->next = 0;
}

/* Of a list those entries that are nearest, or as near as another, somewhere in the cell
with so many bits of each axis that a place is in. Those are out that are farther than
the one that is nearest to the middle at every corner: see filter() in candidates.h. */
static void shorten(kq_near *near, const kq_group *from, const int16_t *at, int bits,
                    kq_group *group)
{
    int16_t low[KQ_CHANNELS] = {0}, high[KQ_CHANNELS] = {0}, middle[KQ_CHANNELS] = {0};
    for (size_t c = 0; c < near->channels; c++) {
        const int first = at[c] >> (14 - bits) << (14 - bits);
        const int last = first + (1 << (14 - bits)) - 1;
        low[c] = (int16_t)(2 * first);
        high[c] = (int16_t)(2 * last);
        middle[c] = (int16_t)((first + last) / 2);
    }
    const int reference = nearest_in_list(near, from, middle);
    const box in = make_box(near->palette + KQ_CHANNELS * reference, low, high);
    list_end to = {group, 0, -1};
    for (;;) {
        for (unsigned kept = near_in_group(from, &in); kept; kept &= kept - 1) {
            const int index = from->index[kq_zeros_below(kept)];
            if (index != to.last)
                append(near, &to, index);
        }
        if (!from->next)
            break;
        from = near->groups + from->next;
    }
    finish(near, &to);
}

static uint32_t list_of_all(kq_near *near)
{
    const uint32_t list = (uint32_t)near->used++;
    list_end to = {near->groups + list, 0, -1};
    for (size_t i = 0; i < near->k; i++)
        append(near, &to, (int)i);
    finish(near, &to);
    return list;
}

/* The first of the parts of a cell with a long list, each yet to be made. */
static uint32_t split(kq_near *near, uint32_t list)
{
    const uint32_t first = (uint32_t)near->used;
    const uint32_t count = 1u << part_bits(near->channels) * (int)near->channels;
    for (uint32_t i = 0; i < count; i++)
        unmake(near->groups + first + i, list);
    near->used += count;
    return first;
}

/* The number of a cell with so many bits of each axis, which no other one has. The
largest is the whole space; then each has a bit more, up to cell_bits(). */
KQ_INLINE size_t number_of(const int16_t *at, int bits, size_t channels)
{
    size_t cell = 1;
    for (size_t c = 0; c < channels; c++)
        cell = cell << bits | (size_t)(at[c] >> (14 - bits));
    return cell;
}

/* A cell and those that make up the next larger one with it get one list. */
static void share(kq_near *near, size_t cell, int bits, uint32_t list)
{
    for (size_t i = 0; i < (size_t)1 << near->channels; i++) {
        size_t other = cell;
        for (size_t c = 0; c < near->channels; c++)
            other ^= (i >> c & 1) << bits * (int)c;
        near->cells[other] = 2 * list;
    }
}

/* The list of a cell, by way of the next larger one. Where that has a short list, its
cells share it. */
static uint32_t list_of(kq_near *near, const int16_t *at, int bits)
{
    const size_t cell = number_of(at, bits, near->channels);
    if (near->cells[cell])
        return near->cells[cell] / 2;
    if (bits == 0) {
        const uint32_t all = list_of_all(near);
        near->cells[cell] = 2 * all;
        return all;
    }
    const uint32_t larger = list_of(near, at, bits - 1);
    if (!near->groups[larger].next) {
        share(near, cell, bits, larger);
        return larger;
    }
    const uint32_t list = (uint32_t)near->used++;
    shorten(near, near->groups + larger, at, bits, near->groups + list);
    near->cells[cell] = 2 * list;
    if (bits == cell_bits(near->channels) && near->groups[list].next
        && near->used < KQ_NEAR_GROUPS / 2)
        near->cells[cell] = 2 * split(near, list) + 1;
    return list;
}

KQ_INLINE kq_group *group_of(const kq_near *near, uint32_t cell, uint32_t part,
                             size_t channels)
{
    const size_t first = (size_t)1 << cell_bits(channels) * (int)channels;
    const uint32_t list = near->cells[first + cell];
    return near->groups + list / 2 + (part & -(list & 1));
}

/* Where one look does not do: the list is long, or has yet to be made. */
static int find_nearest(kq_near *near, const int16_t *at, uint32_t cell, uint32_t part)
{
    kq_group *group = group_of(near, cell, part, near->channels);
    while (group->next == UNMADE) {
        if (near->used + KQ_NEAR_MOST > KQ_NEAR_GROUPS)
            forget_all(near);
        else if (group->from)
            shorten(near, near->groups + group->from, at,
                    cell_bits(near->channels) + part_bits(near->channels), group);
        else
            list_of(near, at, cell_bits(near->channels));
        group = group_of(near, cell, part, near->channels);
    }
    return nearest_in_list(near, group, at);
}

/* The entries of places: the nearest ones, or those of their own that colours have. */
KQ_INLINE void find_entries(kq_near *near, places at, const int16_t *from, int *nearest,
                            size_t channels)
{
    const kq_group *groups[SIDE];
    uint32_t cells[SIDE], parts[SIDE], more[SIDE], any = 0;
    find_cells(at, channels, cells, parts);
    for (int i = 0; i < SIDE; i++) {
        groups[i] = group_of(near, cells[i], parts[i], channels);
        any |= more[i] = groups[i]->next;
    }
    nearest_in_groups(groups, at, nearest);
    if (any)
        for (int i = 0; i < SIDE; i++)
            if (more[i] && from[KQ_CHANNELS * i] >= 0) {
                int16_t one[KQ_CHANNELS];
                store_place(place_of(at, i), one);
                nearest[i] = find_nearest(near, one, cells[i], parts[i]);
            }
    for (int i = 0; i < SIDE; i++) {
        const int own = from[KQ_CHANNELS * i];
        nearest[i] = own < 0 ? ~own : nearest[i];
    }
}

#endif
