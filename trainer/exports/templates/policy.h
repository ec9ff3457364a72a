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

/* e^-x for x >= 0, as 2^-n * e^-r; relative error below 3e-7. */
static inline float policy_exp(float x) {
    static const float ones[16] /* 2^-n */ = {
        1.0f, 0.5f, 0.25f, 0.125f, 0.0625f, 0.03125f, 0.015625f, 0.0078125f, 0.00390625f,
        0.001953125f, 0.0009765625f, 0.00048828125f, 0.00024414062f, 0.00012207031f,
        6.1035156e-05f, 3.0517578e-05f};
    static const float sixteens[8] /* 2^-16n */ = {
        1.0f, 1.5258789e-05f, 2.3283064e-10f, 3.5527137e-15f, 5.421011e-20f, 8.271806e-25f,
        1.2621775e-29f, 1.92593e-34f};
    float r;
    int n;
    if (!(x <= 87.0f)) return 0.0f; /* NaN too */
    n = (int)(x * 1.44269504f + 0.5f);
    r = ((float)n * 0.693145752f - x) + (float)n * 1.42860677e-6f; /* ln 2 in two parts */
    r = 1.0f + r * (1.0f + r * (0.5f + r * (0.166666667f + r * (0.0416666667f
        + r * (0.00833333333f + r * 0.00138888889f)))));
    return ones[n & 15] * sixteens[n >> 4] * r;
}

/* tanh x; absolute error below 2e-7. Near 0 a series, which loses no digits to cancellation. */
static inline float policy_tanh(float x) {
    const float a = x < 0.0f ? -x : x;
    const float s = x * x;
    float e, t;
    if (a < 0.25f)
        return x + x * s * (-0.333333333f + s * (0.133333333f + s * -0.0539682540f));
    e = policy_exp(2.0f * a);
    t = (1.0f - e) / (1.0f + e);
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
        probabilities[a] = policy_exp(largest - probabilities[a]);
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
