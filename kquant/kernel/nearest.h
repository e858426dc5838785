/* The nearest palette entry of any point of the colour space. The space is cut into
cells, and every cell has a list of those entries that are nearest somewhere in it: most
lists are one group, which is compared at once. Lists are made when they are first
needed, since an image needs few of them. Only for diffuse.c. */
#ifndef KQUANT_NEAREST_H
#define KQUANT_NEAREST_H

#include "bits.h"
#include "diffuse_simd.h"
#include "kquant.h"

#include <string.h>

/* In place of the number of the next group, if the list has yet to be made. */
#define UNMADE UINT32_MAX

/* A group whose list has yet to be made, of that which starts at group `from`. It holds
valid entries (0): find_entries() compares every group before it looks at `next`, and
then drops the result of one like this. */
static void unmake(kq_group *group, uint32_t from)
{
    memset(group, 0, sizeof *group);
    group->next = UNMADE;
    group->from = from;
}

/* Only group 0, which stands for the list of every cell that has none: cells are 0
then, and find_nearest() sees that the list has yet to be made. */
static void reset_groups(kq_nearest *search)
{
    unmake(search->groups, 0);
    search->used = 1;
}

static void forget_all(kq_nearest *search)
{
    memset(search->cells, 0, KQ_NEAREST_CELLS * sizeof *search->cells);
    reset_groups(search);
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

/* Entries of a list are in the order of their indices, so ties go to the lowest. */
static int nearest_in_list(const kq_nearest *search, const kq_group *group,
                           const int16_t *at)
{
    int32_t least = INT32_MAX;
    int nearest = 0;
    for (;;) {
        const int other = nearest_in_group(group, at);
        const int32_t next =
            squared_distance(search->palette + KQ_CHANNELS * other, at);
        nearest = next < least ? other : nearest;
        least = next < least ? next : least;
        if (!group->next)
            return nearest;
        group = search->groups + group->next;
    }
}

/* The end of a list to which entries are appended, and the last one of them. The first
group is given, others are taken as needed. */
typedef struct {
    kq_group *group;
    int count, last;
} list_end;

static void append(kq_nearest *search, list_end *to, int index)
{
    const int16_t *entry = search->palette + KQ_CHANNELS * index;
    if (to->count == KQ_GROUP) {
        to->group->next = (uint32_t)search->used;
        to->group = search->groups + search->used++;
        to->count = 0;
    }
    memcpy(to->group->xy[to->count], entry, 4);
    memcpy(to->group->zw[to->count], entry + 2, 4);
    to->group->index[to->count++] = (uint8_t)index;
    to->last = index;
}

/* Fill the last group by repeating the last entry. */
static void finish(kq_nearest *search, list_end *to)
{
    while (to->count < KQ_GROUP)
        append(search, to, to->last);
    to->group->next = 0;
}

/* Make a list of those entries of another that are nearest, or as near as another one,
somewhere in a cell: the one with `bits` bits of each axis that the point `at` is in. An
entry is left out if it is farther, at every corner of the cell, than the one that is
nearest to the middle: see filter() in candidates.h. */
static void shorten(kq_nearest *search, const kq_group *from, const int16_t *at,
                    int bits, kq_group *group)
{
    int16_t low[KQ_CHANNELS] = {0}, high[KQ_CHANNELS] = {0}, middle[KQ_CHANNELS] = {0};
    for (size_t c = 0; c < search->channels; c++) {
        const int first = at[c] >> (14 - bits) << (14 - bits);
        const int last = first + (1 << (14 - bits)) - 1;
        low[c] = (int16_t)(2 * first);
        high[c] = (int16_t)(2 * last);
        middle[c] = (int16_t)((first + last) / 2);
    }
    const int reference = nearest_in_list(search, from, middle);
    const box in = make_box(search->palette + KQ_CHANNELS * reference, low, high);
    list_end to = {group, 0, -1};
    for (;;) {
        for (unsigned kept = kept_in_group(from, &in); kept; kept &= kept - 1) {
            const int index = from->index[kq_zeros_below(kept)];
            if (index != to.last)
                append(search, &to, index);
        }
        if (!from->next)
            break;
        from = search->groups + from->next;
    }
    finish(search, &to);
}

/* The list of all entries. */
static uint32_t list_of_all(kq_nearest *search)
{
    const uint32_t list = (uint32_t)search->used++;
    list_end to = {search->groups + list, 0, -1};
    for (size_t i = 0; i < search->k; i++)
        append(search, &to, (int)i);
    finish(search, &to);
    return list;
}

/* Cut a cell with a long list into parts, whose own lists have yet to be made of that.
Returns the number of the first part; the others follow. */
static uint32_t make_parts(kq_nearest *search, uint32_t list)
{
    const uint32_t first = (uint32_t)search->used;
    const uint32_t count = 1u << part_bits(search->channels) * (int)search->channels;
    for (uint32_t i = 0; i < count; i++)
        unmake(search->groups + first + i, list);
    search->used += count;
    return first;
}

/* The number of the cell with `bits` bits of each axis that a point is in, which no
other cell of any size has. The whole space is the cell with 0 bits; the next smaller
ones have 1 bit, and so on up to cell_bits(). */
KQ_INLINE size_t number_of(const int16_t *at, int bits, size_t channels)
{
    size_t cell = 1;
    for (size_t c = 0; c < channels; c++)
        cell = cell << bits | (size_t)(at[c] >> (14 - bits));
    return cell;
}

/* Give one list to a cell and to its siblings, the others in the next larger one. */
static void share_list(kq_nearest *search, size_t cell, int bits, uint32_t list)
{
    for (size_t i = 0; i < (size_t)1 << search->channels; i++) {
        size_t other = cell;
        for (size_t c = 0; c < search->channels; c++)
            other ^= (i >> c & 1) << bits * (int)c;
        search->cells[other] = 2 * list;
    }
}

/* The list of a cell, which is made of that of the next larger one if need be. If that
is one group, all the cells in the larger one share it. */
static uint32_t list_of(kq_nearest *search, const int16_t *at, int bits)
{
    const size_t cell = number_of(at, bits, search->channels);
    if (search->cells[cell])
        return search->cells[cell] / 2;
    if (bits == 0) {
        const uint32_t all = list_of_all(search);
        search->cells[cell] = 2 * all;
        return all;
    }
    const uint32_t larger = list_of(search, at, bits - 1);
    if (!search->groups[larger].next) {
        share_list(search, cell, bits, larger);
        return larger;
    }
    const uint32_t list = (uint32_t)search->used++;
    shorten(search, search->groups + larger, at, bits, search->groups + list);
    search->cells[cell] = 2 * list;
    if (bits == cell_bits(search->channels) && search->groups[list].next
        && search->used < KQ_NEAREST_GROUPS / 2)
        search->cells[cell] = 2 * make_parts(search, list) + 1;
    return list;
}

/* The first group of the list of a cell, or of one of its parts if it has them. */
KQ_INLINE kq_group *group_of(const kq_nearest *search, uint32_t cell, uint32_t part,
                             size_t channels)
{
    const size_t first = (size_t)1 << cell_bits(channels) * (int)channels;
    const uint32_t list = search->cells[first + cell];
    return search->groups + list / 2 + (part & -(list & 1));
}

/* The nearest entry where comparing one group is not enough: the list is longer, or has
yet to be made. */
static int find_nearest(kq_nearest *search, const int16_t *at, uint32_t cell,
                        uint32_t part)
{
    kq_group *group = group_of(search, cell, part, search->channels);
    while (group->next == UNMADE) {
        if (search->used + KQ_NEAREST_MOST > KQ_NEAREST_GROUPS)
            forget_all(search);
        else if (group->from)
            shorten(search, search->groups + group->from, at,
                    cell_bits(search->channels) + part_bits(search->channels), group);
        else
            list_of(search, at, cell_bits(search->channels));
        group = group_of(search, cell, part, search->channels);
    }
    return nearest_in_list(search, group, at);
}

/* The entry for each of SIDE pixels: the nearest to its point `at`, or the colour's
own. from[SIDE][KQ_CHANNELS] as kq_prepare() makes it. */
KQ_INLINE void find_entries(kq_nearest *search, points at, const int16_t *from,
                            int *nearest, size_t channels)
{
    const kq_group *groups[SIDE];
    uint32_t cells[SIDE], parts[SIDE], more[SIDE], any = 0;
    find_cells(at, channels, cells, parts);
    for (int i = 0; i < SIDE; i++) {
        groups[i] = group_of(search, cells[i], parts[i], channels);
        any |= more[i] = groups[i]->next;
    }
    nearest_in_groups(groups, at, nearest);
    if (any)
        for (int i = 0; i < SIDE; i++)
            if (more[i] && from[KQ_CHANNELS * i] >= 0) {
                int16_t one[KQ_CHANNELS];
                store_point(point_of(at, i), one);
                nearest[i] = find_nearest(search, one, cells[i], parts[i]);
            }
    for (int i = 0; i < SIDE; i++) {
        const int own = from[KQ_CHANNELS * i];
        nearest[i] = own < 0 ? ~own : nearest[i];
    }
}

#endif
