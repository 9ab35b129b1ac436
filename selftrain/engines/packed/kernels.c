/* Attention of many short sequences, for one thread.
 *
 * torch computes it as many small products, each of which starts slowly, over rectangles that have to be padded, masked
 * and gathered. Here every token computes exactly the columns that it attends to.
 *
 * Columns are the tokens of a sequence. Values are stored as [columns, dim]. Keys are stored in blocks of LANES columns,
 * [columns / LANES, dim, LANES], so that a query meets LANES keys at once: scores beyond the last column are computed,
 * and then set to minus infinity.
 *
 * hatch_build.py compiles this: after a change the package has to be installed again, also an editable installation.
 */

#include <math.h>
#include <stdint.h>
#include <string.h>

#define LANES 8
#define INLINE static inline __attribute__((always_inline))

/* Compilers map these to the processor's registers, to two of them where they are half as wide. */
typedef float lanes __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t ints __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

/* `_Pass` of compiled_attention.py, which documents the fields. */
struct pass {
    int64_t kv_heads, group, completions, tokens, start, shared, shared_capacity, prompt_capacity, own_capacity, window;
    float cap;
    const int64_t *place, *prompt_lengths;
};

/* A row's token: column `column` of completion `completion` of `prompt`, whose first `length` columns are written. */
struct slot {
    int64_t prompt, completion, column, length;
};

INLINE struct slot slot_of(const struct pass *pass, int64_t row) {
    int64_t place = pass->place[row], sequence = place / pass->tokens, prompt = sequence / pass->completions;
    struct slot slot = {prompt, sequence % pass->completions, pass->start + place % pass->tokens, 0};
    if (pass->prompt_lengths) slot.length = pass->prompt_lengths[prompt];
    return slot;
}

INLINE int64_t sequence_of(const struct pass *pass, const struct slot *slot, int64_t head) {
    return (slot->prompt * pass->kv_heads + head) * pass->completions + slot->completion;
}

/* `b` where one of them is a NaN. */
INLINE lanes larger(lanes a, lanes b) {
    ints first = a > b;
    return (lanes)((first & (ints)a) | (~first & (ints)b));
}

/* Accurate to 2 units in the last place; 1e-38 for smaller results. */
INLINE lanes exponential(lanes x) {
    x = larger((lanes){} - 87.0f, x);
    /* Adding 1.5 * 2^23 rounds to an integer, which is then in the lowest bits. */
    lanes shifted = x * 1.44269504f + 12582912.0f, n = shifted - 12582912.0f;
    lanes r = x - n * 0.693359375f + n * 2.12194440e-4f;
    lanes p = (lanes){} + 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    return p * (lanes)(((ints)shifted + 127) << 23);
}

/* Writes the scores of the blocks that hold columns [first, until) to `to`; minus infinity for their other columns.
 * Returns where the next scores go. */
INLINE float *scores(const float *query, const float *keys, int64_t first, int64_t until, int64_t dim, float cap,
                     float *to) {
    float *from = to;
    for (int64_t block = first / LANES; block * LANES < until; block++, to += LANES) {
        const lanes *key = (const lanes *)(keys + block * LANES * dim);
        lanes a = {}, b = {}, c = {}, d = {};
        for (int64_t i = 0; i < dim; i += 4) {
            a += query[i] * key[i];
            b += query[i + 1] * key[i + 1];
            c += query[i + 2] * key[i + 2];
            d += query[i + 3] * key[i + 3];
        }
        lanes score = (a + b) + (c + d);
        if (cap > 0) /* cap * tanh(score / cap); tanh is 1 above 10 */
            score = cap - 2 * cap / (exponential(-larger((lanes){} - 20, score * (-2 / cap))) + 1);
        *(lanes *)to = score;
    }
    for (int64_t i = 0; i < first % LANES && from + i < to; i++) from[i] = -INFINITY;
    for (int64_t i = until - first / LANES * LANES; from + i < to; i++) from[i] = -INFINITY;
    return to;
}

/* Turns scores into weights, and returns their sum. */
INLINE float exponentiate(float *from, const float *end) {
    lanes most = (lanes){} - INFINITY, sums = {};
    for (float *at = from; at < end; at += LANES) most = larger(most, *(lanes *)at);
    float top = most[0], sum = 0;
    for (int i = 1; i < LANES; i++) top = most[i] > top ? most[i] : top;
    for (float *at = from; at < end; at += LANES) {
        lanes weight = exponential(*(lanes *)at - top);
        *(lanes *)at = weight;
        sums += weight;
    }
    for (int i = 0; i < LANES; i++) sum += sums[i];
    return sum;
}

/* Adds the values of columns [first, until), times their weights. */
INLINE void mix(lanes *sums, const float *weights, const float *values, int64_t first, int64_t until, int64_t dim) {
    for (int64_t column = first; column < until; column++) {
        const lanes *value = (const lanes *)(values + column * dim);
        for (int64_t i = 0; i < dim / LANES; i++) sums[i] += *weights * value[i];
        weights++;
    }
}

/* Where keys or values of each kind are. */
struct cache {
    const float *shared, *prompt, *own;
};

/* A head's keys and values of the text that all prompts share stay in the processor's cache from row to row. */
INLINE void attend_by(const struct pass *pass, int64_t first, int64_t until, const float *qkv, struct cache keys,
                      struct cache values, float *out, float *weights, int64_t dim) {
    int64_t width = (pass->group + 2) * dim, shared = pass->shared;
    for (int64_t head = 0; head < pass->kv_heads; head++) {
        int64_t of_shared = head * pass->shared_capacity * dim;
        for (int64_t row = first; row < until; row++) {
            struct slot slot = slot_of(pass, row);
            int64_t length = slot.length, until_own = slot.column + 1;
            int64_t hidden = shared + length + until_own - pass->window;
            if (hidden < 0) hidden = 0;
            /* The first columns within the window. */
            int64_t from_shared = hidden < shared ? hidden : shared, rest = hidden - from_shared;
            int64_t from_prompt = rest < length ? rest : length, from_own = rest - from_prompt;
            int64_t prompt = (slot.prompt * pass->kv_heads + head) * pass->prompt_capacity * dim;
            int64_t own = sequence_of(pass, &slot, head) * pass->own_capacity * dim;
            for (int64_t q = 0; q < pass->group; q++) {
                const float *query = qkv + (row * pass->kv_heads + head) * width + q * dim;
                float *to = out + ((row * pass->kv_heads + head) * pass->group + q) * dim;
                float *prompt_weights = scores(query, keys.shared + of_shared, from_shared, shared, dim, pass->cap, weights);
                float *own_weights =
                    scores(query, keys.prompt + prompt, from_prompt, length, dim, pass->cap, prompt_weights);
                float *end = scores(query, keys.own + own, from_own, until_own, dim, pass->cap, own_weights);
                float sum = exponentiate(weights, end);
                lanes mean[dim / LANES];
                for (int64_t i = 0; i < dim / LANES; i++) mean[i] = (lanes){};
                mix(mean, weights + from_shared % LANES, values.shared + of_shared, from_shared, shared, dim);
                mix(mean, prompt_weights + from_prompt % LANES, values.prompt + prompt, from_prompt, length, dim);
                mix(mean, own_weights + from_own % LANES, values.own + own, from_own, until_own, dim);
                for (int64_t i = 0; i < dim / LANES; i++) ((lanes *)to)[i] = mean[i] / sum;
            }
        }
    }
}

/* Caches the keys and values of rows [0, rows) of qkv, [rows, kv_heads, group + 2, dim]. */
void keep(const struct pass *pass, int64_t rows, int64_t dim, const float *qkv, float *keys, float *values) {
    for (int64_t row = 0; row < rows; row++) {
        struct slot slot = slot_of(pass, row);
        for (int64_t head = 0; head < pass->kv_heads; head++, qkv += 2 * dim) {
            int64_t own = sequence_of(pass, &slot, head) * pass->own_capacity;
            float *to = keys + (own + slot.column / LANES * LANES) * dim + slot.column % LANES;
            qkv += pass->group * dim;
            for (int64_t i = 0; i < dim; i++) to[i * LANES] = qkv[i];
            memcpy(values + (own + slot.column) * dim, qkv + dim, dim * sizeof(float));
        }
    }
}

/* Attention of rows [first, until), [rows, kv_heads, group, dim], to `out`; `weights` has room for all columns that a
 * row attends to, and three blocks more. `keys` and `values` are a `struct cache` each. */
void attention(const struct pass *pass, int64_t first, int64_t until, int64_t dim, const float *qkv,
               const struct cache *keys, const struct cache *values, float *out, float *weights) {
/* With a constant `dim` its loops are unrolled. */
#define BY(number) attend_by(pass, first, until, qkv, *keys, *values, out, weights, number); break
    switch (dim) {
    case 32: BY(32);
    case 64: BY(64);
    case 128: BY(128);
    case 256: BY(256);
    default: BY(dim);
    }
}
