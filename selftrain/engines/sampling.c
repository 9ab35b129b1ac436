/* From logits to the next token, for one thread: what sampler.py does with torch, in one or two passes over a row.
 *
 * Weights are exponentials in double precision, and sums are double: the tokens are those of sorting whole rows, except
 * where a random number meets the border between two tokens to within 1e-13.
 *
 * hatch_build.py compiles this: after a change the package has to be installed again, also an editable installation.
 */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#define LANES 4
/* Tokens whose weights are summed together. */
#define BLOCK 128
/* Tokens are sorted by their distance from the likeliest one into bins of 1/32 nat; the last holds all beyond. */
#define BINS 1024
#define BINS_PER_NAT 32.0f
#define INLINE static inline __attribute__((always_inline))

typedef double lanes __attribute__((vector_size(8 * LANES), aligned(8), may_alias));
typedef int64_t ints __attribute__((vector_size(8 * LANES), aligned(8), may_alias));
typedef float floats __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t masks __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

/* e to the power of x, for x in [-700, 0], accurate to 1e-15. */
INLINE lanes exponential(lanes x) {
    /* Adding 1.5 * 2^52 rounds to an integer, which is then in the lowest bits. */
    lanes shifted = x * 1.4426950408889634 + 6755399441055744.0, n = shifted - 6755399441055744.0;
    lanes r = x - n * 6.93147180369123816490e-01 - n * 1.90821492927058770002e-10;
    lanes p = (lanes){} + 2.5052108385441720e-08;
    p = p * r + 2.7557319223985893e-07;
    p = p * r + 2.7557319223985888e-06;
    p = p * r + 2.4801587301587302e-05;
    p = p * r + 1.9841269841269841e-04;
    p = p * r + 1.3888888888888889e-03;
    p = p * r + 8.3333333333333332e-03;
    p = p * r + 4.1666666666666664e-02;
    p = p * r + 1.6666666666666666e-01;
    p = p * r + 0.5;
    p = p * r * r + r + 1.0;
    return p * (lanes)(((ints)shifted + 1023) << 52);
}

INLINE lanes exponential_of(floats logits, float temperature, double top) {
    /* Divided in single precision, as torch divides logits. */
    lanes x = __builtin_convertvector(logits / temperature, lanes) - top;
    ints near = x >= -700.0;
    return (lanes)(near & (ints)exponential((lanes)(near & (ints)x)));
}

/* The weights of `count` tokens, at most BLOCK, and their sum. */
INLINE double weigh(const float *logits, int64_t count, float temperature, double top, double *weights) {
    lanes sum = {};
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES)
        sum += *(lanes *)(weights + i) = exponential_of(*(const floats *)(logits + i), temperature, top);
    if (i < count) {
        floats rest = (floats){} - INFINITY;
        for (int lane = 0; i + lane < count; lane++) rest[lane] = logits[i + lane];
        sum += *(lanes *)(weights + i) = exponential_of(rest, temperature, top);
    }
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

static float largest(const float *logits, int64_t count) {
    floats most = (floats){} - INFINITY;
    float found = -INFINITY;
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        floats x = *(const floats *)(logits + i);
        masks first = x > most;
        most = (floats)((first & (masks)x) | (~first & (masks)most));
    }
    for (; i < count; i++) found = logits[i] > found ? logits[i] : found;
    for (int lane = 0; lane < LANES; lane++) found = most[lane] > found ? most[lane] : found;
    return found;
}

/* A whole row's weights, and their sums by block; returns their sum. Divided by 1 nothing is divided. */
static double weigh_all(const float *logits, int64_t count, float temperature, double top, double *weights,
                        double *blocks) {
    double sum = 0;
    for (int64_t first = 0, block = 0; first < count; first += BLOCK, block++) {
        int64_t some = count - first < BLOCK ? count - first : BLOCK;
        double *to = weights + first;
        blocks[block] = temperature == 1.0f ? weigh(logits + first, some, 1.0f, top, to)
                                            : weigh(logits + first, some, temperature, top, to);
        sum += blocks[block];
    }
    return sum;
}

/* The first token at which the cumulative weight exceeds `target`; the last possible one where rounding hides it. */
static int64_t find(const double *weights, int64_t count, double target) {
    double sum = 0;
    int64_t last = 0;
    for (int64_t i = 0; i < count; i++) {
        sum += weights[i];
        if (weights[i] > 0) last = i;
        if (sum > target) return i;
    }
    return last;
}

static int64_t find_by_block(const double *weights, const double *blocks, int64_t count, double target) {
    int64_t block = 0, last = (count - 1) / BLOCK;
    while (block < last && blocks[block] <= target) target -= blocks[block++];
    int64_t first = block * BLOCK, some = count - first < BLOCK ? count - first : BLOCK;
    return first + find(weights + first, some, target);
}

/* Likelier tokens first; of equals the one with the lower id. */
struct token {
    float logit;
    int32_t id;
};

static int likelier(const void *a, const void *b) {
    const struct token *first = a, *second = b;
    if (first->logit != second->logit) return first->logit > second->logit ? -1 : 1;
    return first->id < second->id ? -1 : first->id > second->id;
}

struct bins {
    int64_t counts[BINS];
    double sums[BINS];
};

INLINE int bin_of(float logit, float most) {
    float place = (most - logit) * BINS_PER_NAT;
    return place < BINS - 1 ? (int)place : BINS - 1; /* a NaN is in the last */
}

static int64_t tokens_in(int bin, const float *logits, int64_t count, float most, struct token *found) {
    int64_t number = 0;
    for (int64_t i = 0; i < count; i++)
        if (bin_of(logits[i], most) == bin) found[number++] = (struct token){logits[i], (int32_t)i};
    qsort(found, number, sizeof *found, likelier);
    return number;
}

/* The last token that is kept of the `top_k` likeliest ones, and the weight of all that are kept. */
static struct token last_of_top_k(const float *logits, int64_t count, int64_t top_k, float most, const double *weights,
                                  const struct bins *bins, struct token *found, double *total) {
    int64_t number = 0;
    int bin = 0;
    *total = 0;
    for (; number + bins->counts[bin] < top_k; bin++) number += bins->counts[bin], *total += bins->sums[bin];
    tokens_in(bin, logits, count, most, found);
    for (int64_t i = 0; number + i < top_k; i++) *total += weights[found[i].id];
    return found[top_k - number - 1];
}

/* The token at which the likeliest ones reach a weight of `wanted`; `last` where only rounding hides it. */
static struct token last_of_top_p(const float *logits, int64_t count, double wanted, float most, const double *weights,
                                  const struct bins *bins, struct token *found, struct token last) {
    double sum = 0;
    for (int bin = 0; bin < BINS; bin++) {
        if (sum + bins->sums[bin] < wanted * (1 - 1e-12)) {
            sum += bins->sums[bin];
            continue;
        }
        int64_t number = tokens_in(bin, logits, count, most, found);
        for (int64_t i = 0; i < number; i++) {
            sum += weights[found[i].id];
            if (sum >= wanted) return likelier(&found[i], &last) < 0 ? found[i] : last;
        }
    }
    return last;
}

/* Moves the tokens that the filters keep to `found`, in the order of their ids, and their weights to the front of
 * `weights`. Both filters keep the likeliest tokens, so it is enough to know the last one: only its bin is sorted.
 * Returns how many are kept. */
static int64_t filter(const float *logits, int64_t count, int64_t top_k, double top_p, float most, double total,
                      double *weights, struct bins *bins, struct token *found) {
    struct token last = {-INFINITY, INT32_MAX};
    for (int bin = 0; bin < BINS; bin++) bins->counts[bin] = 0, bins->sums[bin] = 0;
    for (int64_t i = 0; i < count; i++) {
        int bin = bin_of(logits[i], most);
        bins->counts[bin]++;
        bins->sums[bin] += weights[i];
    }
    if (top_k > 0 && top_k < count) last = last_of_top_k(logits, count, top_k, most, weights, bins, found, &total);
    if (top_p < 1) last = last_of_top_p(logits, count, top_p * total, most, weights, bins, found, last);
    int64_t number = 0;
    for (int64_t i = 0; i < count; i++) {
        if (logits[i] < last.logit || (logits[i] == last.logit && i > last.id)) continue;
        weights[number] = weights[i];
        found[number++].id = (int32_t)i;
    }
    return number;
}

/* The next token of every row, and its log-probability at temperature 1.
 *
 * logits: [rows, count]; uniform: [rows], in [0, 1); temperature: 0 is greedy; top_k, top_p: 0 and 1 for none.
 * Returns 0; 1 where there is no memory. */
int sample(int64_t rows, int64_t count, const float *logits, const double *uniform, float temperature, int64_t top_k,
           double top_p, int64_t *tokens, float *logprobs) {
    int64_t blocks = (count + BLOCK - 1) / BLOCK, padded = blocks * BLOCK;
    double *weights = malloc((padded + blocks) * sizeof *weights);
    struct token *found = malloc(count * sizeof *found);
    struct bins *bins = malloc(sizeof *bins);
    int filtered = top_p < 1 || (top_k > 0 && top_k < count), missing = !weights || !found || !bins;
    for (int64_t row = 0; row < rows && !missing; row++, logits += count) {
        float most = largest(logits, count);
        double sum = weigh_all(logits, count, 1.0f, most, weights, weights + padded), chosen = sum;
        int64_t token = 0;
        if (temperature == 0) {
            while (token < count - 1 && logits[token] != most) token++;
        } else {
            if (temperature != 1)
                chosen = weigh_all(logits, count, temperature, most / temperature, weights, weights + padded);
            if (filtered) {
                int64_t kept = filter(logits, count, top_k, top_p, most, chosen, weights, bins, found);
                chosen = 0;
                for (int64_t i = 0; i < kept; i++) chosen += weights[i];
                token = found[find(weights, kept, uniform[row] * chosen)].id;
            } else {
                token = find_by_block(weights, weights + padded, count, uniform[row] * chosen);
            }
        }
        tokens[row] = token;
        logprobs[row] = (float)(logits[token] - most - log(sum));
    }
    free(weights), free(found), free(bins);
    return missing;
}
