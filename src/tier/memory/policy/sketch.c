/*
 * The count-min sketch; see sketch.h.
 */
#include "tier/memory/policy/sketch.h"

#define ROWS          4u
#define WORD_COUNTERS 16u
#define COUNTER_MAX   15u

/* Additions for each entry until everything is halved. */
#define SAMPLE 10u

/* Words halved at each addition while a halving is under way. */
#define HALVE_WORDS 16u

/* Odd numbers that spread a hash over the rows independently. */
static const uint64_t seeds[ROWS] = {UINT64_C(0x9e3779b97f4a7c15),
                                     UINT64_C(0xc2b2ae3d27d4eb4f),
                                     UINT64_C(0x165667b19e3779f9),
                                     UINT64_C(0xd6e8feb86659fd93)};

size_t mtci_sketch_entries(size_t entries)
{
    return entries < MTCI_SKETCH_ENTRIES_MIN ? MTCI_SKETCH_ENTRIES_MIN
                                             : entries;
}

static size_t row_words_for(size_t entries)
{
    size_t counters = mtci_sketch_entries(entries) * MTCI_SKETCH_PER_ENTRY;
    return (counters + WORD_COUNTERS - 1) / WORD_COUNTERS;
}

size_t mtci_sketch_size(size_t entries)
{
    return ROWS * row_words_for(entries) * sizeof(uint64_t);
}

void mtci_sketch_init(mtci_sketch *sketch, void *room, size_t entries)
{
    *sketch = (mtci_sketch){
        .words = room,
        .row_words = row_words_for(entries),
        .halve_at = (uint64_t)mtci_sketch_entries(entries) * SAMPLE,
    };
    sketch->halved = ROWS * sketch->row_words;
}

/* Eight counters become sixteen, each of them twice. */
static uint64_t twice(uint64_t counters)
{
    uint64_t word = 0;
    for (unsigned i = 0; i < WORD_COUNTERS / 2; i++)
        word |= (counters >> (4 * i) & COUNTER_MAX) * 0x11 << (8 * i);
    return word;
}

/* A key's place is a share of the row, so it stays where it is. */
void mtci_sketch_widen(mtci_sketch *sketch, const mtci_sketch *narrow)
{
    for (size_t i = 0; i < ROWS * narrow->row_words; i++) {
        uint64_t word =
            atomic_load_explicit(&narrow->words[i], memory_order_relaxed);
        atomic_init(&sketch->words[2 * i], twice(word));
        atomic_init(&sketch->words[2 * i + 1], twice(word >> 32));
    }
    sketch->additions = narrow->additions;
}

/* A counter: its word, and how far to shift. */
typedef struct counter {
    _Atomic uint64_t *word;
    unsigned shift;
} counter;

static counter counter_of(const mtci_sketch *sketch, uint32_t hash,
                          unsigned row)
{
    uint64_t mixed = (hash + UINT64_C(0x9e3779b9)) * seeds[row];
    mixed ^= mixed >> 32;
    uint64_t at =
        (mixed & UINT32_MAX) * (sketch->row_words * WORD_COUNTERS) >> 32;
    return (
        counter){&sketch->words[row * sketch->row_words + at / WORD_COUNTERS],
                 (unsigned)(at % WORD_COUNTERS) * 4};
}

static unsigned value_of(counter counter)
{
    uint64_t word = atomic_load_explicit(counter.word, memory_order_relaxed);
    return (unsigned)(word >> counter.shift) & COUNTER_MAX;
}

static void raise(counter counter)
{
    uint64_t word = atomic_load_explicit(counter.word, memory_order_relaxed);
    atomic_store_explicit(counter.word, word + (UINT64_C(1) << counter.shift),
                          memory_order_relaxed);
}

/* Goes on with a halving. */
static void halve_some(mtci_sketch *sketch)
{
    size_t end = sketch->halved + HALVE_WORDS;
    if (end > ROWS * sketch->row_words)
        end = ROWS * sketch->row_words;
    for (; sketch->halved < end; sketch->halved++) {
        _Atomic uint64_t *word = &sketch->words[sketch->halved];
        uint64_t half = atomic_load_explicit(word, memory_order_relaxed) >> 1;
        atomic_store_explicit(word, half & UINT64_C(0x7777777777777777),
                              memory_order_relaxed);
    }
}

static void add_once(mtci_sketch *sketch, const counter counters[ROWS])
{
    unsigned values[ROWS];
    unsigned least = COUNTER_MAX;
    for (unsigned row = 0; row < ROWS; row++) {
        values[row] = value_of(counters[row]);
        if (values[row] < least)
            least = values[row];
    }
    if (least == COUNTER_MAX)
        return;
    for (unsigned row = 0; row < ROWS; row++) {
        if (values[row] == least)
            raise(counters[row]);
    }
    if (++sketch->additions < sketch->halve_at)
        return;
    sketch->additions /= 2;
    sketch->halved = 0;
}

void mtci_sketch_expect(const mtci_sketch *sketch, uint32_t hash)
{
    if (!sketch->words)
        return;
    for (unsigned row = 0; row < ROWS; row++)
        __builtin_prefetch(counter_of(sketch, hash, row).word, 1);
}

void mtci_sketch_add(mtci_sketch *sketch, uint32_t hash, unsigned n)
{
    counter counters[ROWS];
    if (!sketch->words || n == 0)
        return;
    for (unsigned row = 0; row < ROWS; row++)
        counters[row] = counter_of(sketch, hash, row);
    for (; n > 0; n--)
        add_once(sketch, counters);
    if (sketch->halved < ROWS * sketch->row_words)
        halve_some(sketch);
}

unsigned mtci_sketch_estimate(const mtci_sketch *sketch, uint32_t hash)
{
    unsigned least = COUNTER_MAX;
    if (!sketch->words)
        return 0;
    for (unsigned row = 0; row < ROWS; row++) {
        unsigned value = value_of(counter_of(sketch, hash, row));
        if (value < least)
            least = value;
    }
    return least;
}
