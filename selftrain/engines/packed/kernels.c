/* Attention of many short sequences, for one thread.
 *
 * torch computes it as many small products, each of which starts slowly, over rectangles that have to be filled up,
 * masked and copied together. Here every token looks at what it sees and at nothing else.
 *
 * Columns are the tokens of a sequence. Values lie as they come, [columns, dim]. Keys lie in blocks of LANES columns,
 * [columns / LANES, dim, LANES], so that a query meets LANES keys at once: whatever lies beyond the last column is
 * computed with and then taken for minus infinity.
 *
 * hatch_build.py compiles this: after a change the package has to be installed again, in place too.
 */

#include <math.h>
#include <stdint.h>
#include <string.h>

#define LANES 8
#define INLINE static inline __attribute__((always_inline))

/* Compilers make of these whatever the processor has: two registers where they are half as wide. */
typedef float lanes __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t ints __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

/* As `_Pass` in compiled.py, where what is meant is said. */
struct pass {
    int64_t kv_heads, group, answers, tokens, start, prompt_room, own_room, window;
    float cap;
    const int64_t *place, *prompt_lengths;
};

/* Where a row's token is: column `column` of answer `answer` to `prompt`, whose first `length` columns are written. */
struct seat {
    int64_t prompt, answer, column, length;
};

INLINE struct seat seat_of(const struct pass *pass, int64_t row) {
    int64_t place = pass->place[row], answer = place / pass->tokens, prompt = answer / pass->answers;
    struct seat seat = {prompt, answer % pass->answers, pass->start + place % pass->tokens, 0};
    if (pass->prompt_lengths) seat.length = pass->prompt_lengths[prompt];
    return seat;
}

INLINE int64_t sequence_of(const struct pass *pass, const struct seat *seat, int64_t head) {
    return (seat->prompt * pass->kv_heads + head) * pass->answers + seat->answer;
}

/* `b` where one of them is no number. */
INLINE lanes larger(lanes a, lanes b) {
    ints first = a > b;
    return (lanes)((first & (ints)a) | (~first & (ints)b));
}

/* To 2 units in the last place; 1e-38 for all that is less than that. */
INLINE lanes exponential(lanes x) {
    x = larger((lanes){} - 87.0f, x);
    /* Adding 1.5 * 2^23 rounds to a whole number, which then stands in the lowest bits. */
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

/* Scores of the blocks that have columns of [first, until), from `to` on; minus infinity for their other columns.
 * Returns where the next ones go. */
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
        if (cap > 0) /* cap * tanh(score / cap), which is 1 for all that is larger than 10 */
            score = cap - 2 * cap / (exponential(-larger((lanes){} - 20, score * (-2 / cap))) + 1);
        *(lanes *)to = score;
    }
    for (int64_t i = 0; i < first % LANES && from + i < to; i++) from[i] = -INFINITY;
    for (int64_t i = until - first / LANES * LANES; from + i < to; i++) from[i] = -INFINITY;
    return to;
}

/* To weights that come to the returned sum. */
INLINE float weigh(float *from, const float *end) {
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

/* Adds the values of columns [first, until), by their weights. */
INLINE void mix(lanes *sums, const float *weights, const float *values, int64_t first, int64_t until, int64_t dim) {
    for (int64_t column = first; column < until; column++) {
        const lanes *value = (const lanes *)(values + column * dim);
        for (int64_t i = 0; i < dim / LANES; i++) sums[i] += *weights * value[i];
        weights++;
    }
}

INLINE void attend_by(const struct pass *pass, int64_t first, int64_t until, const float *qkv,
                      const float *prompt_keys, const float *prompt_values, const float *keys, const float *values,
                      float *out, float *weights, int64_t dim) {
    int64_t width = (pass->group + 2) * dim;
    for (int64_t row = first; row < until; row++) {
        struct seat seat = seat_of(pass, row);
        int64_t length = seat.length, until_own = seat.column + 1, unseen = length + until_own - pass->window;
        if (unseen < 0) unseen = 0;
        /* The first columns that are seen. */
        int64_t of_prompt = unseen < length ? unseen : length, of_own = unseen - of_prompt;
        for (int64_t head = 0; head < pass->kv_heads; head++) {
            int64_t prompt = (seat.prompt * pass->kv_heads + head) * pass->prompt_room * dim;
            int64_t own = sequence_of(pass, &seat, head) * pass->own_room * dim;
            for (int64_t one = 0; one < pass->group; one++) {
                const float *query = qkv + (row * pass->kv_heads + head) * width + one * dim;
                float *own_weights = scores(query, prompt_keys + prompt, of_prompt, length, dim, pass->cap, weights);
                float *end = scores(query, keys + own, of_own, until_own, dim, pass->cap, own_weights);
                float sum = weigh(weights, end);
                lanes mean[dim / LANES];
                for (int64_t i = 0; i < dim / LANES; i++) mean[i] = (lanes){};
                mix(mean, weights + of_prompt % LANES, prompt_values + prompt, of_prompt, length, dim);
                mix(mean, own_weights + of_own % LANES, values + own, of_own, until_own, dim);
                for (int64_t i = 0; i < dim / LANES; i++, out += LANES) *(lanes *)out = mean[i] / sum;
            }
        }
    }
}

/* Keeps the keys and values of rows [0, rows) of qkv, [rows, kv_heads, group + 2, dim]. */
void keep(const struct pass *pass, int64_t rows, int64_t dim, const float *qkv, float *keys, float *values) {
    for (int64_t row = 0; row < rows; row++) {
        struct seat seat = seat_of(pass, row);
        for (int64_t head = 0; head < pass->kv_heads; head++, qkv += 2 * dim) {
            int64_t own = sequence_of(pass, &seat, head) * pass->own_room;
            float *to = keys + (own + seat.column / LANES * LANES) * dim + seat.column % LANES;
            qkv += pass->group * dim;
            for (int64_t i = 0; i < dim; i++) to[i * LANES] = qkv[i];
            memcpy(values + (own + seat.column) * dim, qkv + dim, dim * sizeof(float));
        }
    }
}

/* What rows [first, until) take from attention, [rows, kv_heads, group, dim], to `out`; `weights` has room for all
 * columns of a prompt and an answer and two blocks more. */
void attend(const struct pass *pass, int64_t first, int64_t until, int64_t dim, const float *qkv,
            const float *prompt_keys, const float *prompt_values, const float *keys, const float *values, float *out,
            float *weights) {
    out += first * pass->kv_heads * pass->group * dim;
/* With a number that is known, loops over `dim` are unrolled. */
#define BY(number) \
    attend_by(pass, first, until, qkv, prompt_keys, prompt_values, keys, values, out, weights, number); break
    switch (dim) {
    case 32: BY(32);
    case 64: BY(64);
    case 128: BY(128);
    default: BY(dim);
    }
}
