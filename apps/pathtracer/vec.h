/* Vectors of three floats. */
#ifndef VEC_H
#define VEC_H

#include <math.h>

typedef struct {
    float x, y, z;
} Vec;

static inline Vec vec(float x, float y, float z) { return (Vec){x, y, z}; }
static inline Vec add(Vec a, Vec b) { return vec(a.x + b.x, a.y + b.y, a.z + b.z); }
static inline Vec sub(Vec a, Vec b) { return vec(a.x - b.x, a.y - b.y, a.z - b.z); }
static inline Vec mul(Vec a, Vec b) { return vec(a.x * b.x, a.y * b.y, a.z * b.z); }
static inline Vec scale(Vec a, float s) { return vec(a.x * s, a.y * s, a.z * s); }
static inline Vec along(Vec origin, Vec direction, float t) { return add(origin, scale(direction, t)); }
static inline Vec mix(Vec a, Vec b, float t) { return add(scale(a, 1 - t), scale(b, t)); }
static inline float dot(Vec a, Vec b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
static inline Vec cross(Vec a, Vec b) { return vec(a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x); }
static inline Vec normalize(Vec a) { return scale(a, 1 / sqrtf(dot(a, a))); }
static inline Vec reflect(Vec d, Vec n) { return along(d, n, -2 * dot(d, n)); }
static inline float luminance(Vec c) { return 0.2126f * c.x + 0.7152f * c.y + 0.0722f * c.z; }

#endif
