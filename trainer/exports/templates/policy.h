/* $title
 *
 * C99, also C++. No allocation, no library, not even libm. Include it where it is used:
 *
 *     float probabilities[POLICY_ACTIONS];
 *     int action = policy_act(observation);
 *     policy_probabilities(observation, probabilities);
 *
 * $about
 */
#ifndef POLICY_H
#define POLICY_H

#define POLICY_OBSERVATION_SIZE $inputs
#define POLICY_ACTIONS $actions

typedef $type policy_input;

$arrays

/* e^x for x <= 88; relative error below 2e-7. */
static inline float policy_exp(float x) {
    float scale = 1.0f, base, r;
    int k, n;
    if (x < -87.0f) return 0.0f;
    k = (int)(x * 1.44269504f + (x < 0.0f ? -0.5f : 0.5f));
    r = (x - (float)k * 0.693145752f) - (float)k * 1.42860677e-6f; /* ln 2 in two parts */
    base = k < 0 ? 0.5f : 2.0f;
    for (n = k < 0 ? -k : k; n > 0; n >>= 1) {
        if (n & 1) scale *= base;
        if (n > 1) base *= base;
    }
    r = 1.0f + r * (1.0f + r * (0.5f + r * (0.166666667f + r * (0.0416666667f
        + r * (0.00833333333f + r * 0.00138888889f)))));
    return scale * r;
}

/* tanh x; absolute error below 2e-7. Near 0 a series, which loses no digits to cancellation. */
static inline float policy_tanh(float x) {
    const float a = x < 0.0f ? -x : x;
    const float s = x * x;
    float t;
    if (a < 0.25f)
        return x + x * s * (-0.333333333f + s * (0.133333333f + s * -0.0539682540f));
    t = a > 9.0f ? 1.0f : 1.0f - 2.0f / (policy_exp(2.0f * a) + 1.0f);
    return x < 0.0f ? -t : t;
}

/* y = x * kernel + bias, with the kernel [inputs][outputs] row by row; tanh of it if hidden. */
static inline void policy_dense(const float *x, int inputs, const float *kernel,
                                const float *bias, int outputs, int hidden, float *y) {
    int i, o;
    for (o = 0; o < outputs; o++) y[o] = bias[o];
    for (i = 0; i < inputs; i++) {
        const float in = x[i];
        const float *row = kernel + (long)i * outputs;
        for (o = 0; o < outputs; o++) y[o] += in * row[o];
    }
    if (hidden)
        for (o = 0; o < outputs; o++) y[o] = policy_tanh(y[o]);
}
$convolution
static inline void policy_logits(const policy_input *observation, float *logits) {
$body
}

/* The probabilities of all actions. */
static inline void policy_probabilities(const policy_input *observation, float *probabilities) {
    float largest, sum = 0.0f;
    int a;
    policy_logits(observation, probabilities);
    largest = probabilities[0];
    for (a = 1; a < POLICY_ACTIONS; a++)
        if (probabilities[a] > largest) largest = probabilities[a];
    for (a = 0; a < POLICY_ACTIONS; a++) {
        probabilities[a] = policy_exp(probabilities[a] - largest);
        sum += probabilities[a];
    }
    for (a = 0; a < POLICY_ACTIONS; a++) probabilities[a] /= sum;
}

/* The likeliest action, the first of equals. */
static inline int policy_act(const policy_input *observation) {
    float logits[POLICY_ACTIONS];
    int a, best = 0;
    policy_logits(observation, logits);
    for (a = 1; a < POLICY_ACTIONS; a++)
        if (logits[a] > logits[best]) best = a;
    return best;
}

#endif /* POLICY_H */
