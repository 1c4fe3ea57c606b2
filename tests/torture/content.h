/* SPDX-License-Identifier: Apache-2.0 */
/* A vector is a function of its id: whole numbers below 256, so that FAISS's distances are exact,
 * and every result can be verified. */
#ifndef TORTURE_CONTENT_H
#define TORTURE_CONTENT_H

#include <stdint.h>

enum { D = 8 };

static inline uint32_t mix(uint32_t h)
{
    h = (h ^ (h >> 16)) * 0x7feb352du;
    h = (h ^ (h >> 15)) * 0x846ca68bu;
    return h ^ (h >> 16);
}

static inline void content(float *x, uint32_t id)
{
    uint32_t h = mix(id);
    for (int j = 0; j < 4; j++) {
        x[j] = (float)(id >> 8 * j & 255);
        x[4 + j] = (float)(h >> 8 * j & 255);
    }
}

static inline float distance(uint32_t a, uint32_t b)
{
    float x[D], y[D], sum = 0;
    content(x, a);
    content(y, b);
    for (int j = 0; j < D; j++)
        sum += (x[j] - y[j]) * (x[j] - y[j]);
    return sum;
}

#endif
