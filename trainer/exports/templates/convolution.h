
/* A convolution without padding and tanh of it: x [height][width][channels] row by row. */
static inline void policy_convolution(const float *x, int height, int width, int channels,
                                      const float *kernel, const float *bias, int size,
                                      int stride, int filters, float *y) {
    int row, column, i, j, c, f;
    for (row = 0; row + size <= height; row += stride)
        for (column = 0; column + size <= width; column += stride, y += filters) {
            const float *weights = kernel;
            for (f = 0; f < filters; f++) y[f] = bias[f];
            for (i = 0; i < size; i++)
                for (j = 0; j < size; j++)
                    for (c = 0; c < channels; c++, weights += filters) {
                        const float in = x[((row + i) * width + column + j) * channels + c];
                        for (f = 0; f < filters; f++) y[f] += in * weights[f];
                    }
            for (f = 0; f < filters; f++) y[f] = policy_tanh(y[f]);
        }
}
