/*
 * Each pixel follows some paths of light backwards: from the eye over up to MAX_BOUNCES surfaces, asking the lamp for light at each.
 * The samples of a pixel spread evenly (a Kronecker sequence, shifted by a random number for each pixel and use). What diffuse surfaces
 * receive is then smoothed over neighbours on the same surface, so that few paths are enough.
 *
 * Sources: Kajiya, "The Rendering Equation" (1986); Schlick's approximation of Fresnel's law (1994); Roberts, "The Unreasonable
 * Effectiveness of Quasirandom Sequences" (2018) for the constants; Dammertz et al., "Edge-Avoiding A-Trous Wavelet Transform" (2010).
 */

#include "render.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_BOUNCES = 4, SMOOTHING_PASSES = 4 };
#define PI 3.14159265f

typedef struct {
    uint32_t seed;
    uint32_t index; /* of the sample within its pixel */
    uint32_t uses;
} Random;

typedef struct {
    float u, v;
} Pair;

/* What one pixel knows of itself. */
typedef struct {
    Vec direct;  /* light that needs no smoothing: sky, lamp, reflections */
    Vec diffuse; /* light that falls on the surface ... */
    Vec albedo;  /* ... and what part of it comes back ... */
    Vec matt;    /* ... which is this, as long as nothing is smoothed */
    Vec normal, point;
    int object; /* NOTHING also where the samples of a pixel met different things: an edge, which is not smoothed */
} Pixel;

static uint32_t hash(uint32_t x) {
    x ^= x >> 16, x *= 0x7FEB352Du;
    x ^= x >> 15, x *= 0x846CA68Bu;
    return x ^ x >> 16;
}

static float fraction(uint32_t bits) { return (float)(bits >> 8) * (1.0f / 16777216.0f); }

static Pair next_pair(Random *random) {
    uint32_t shift = hash(random->seed + random->uses++ * 0x9E3779B9u);
    return (Pair){
        fraction(shift + random->index * 3242174889u), /* 1/p and 1/p^2 of the plastic number p, as fractions of 2^32 */
        fraction(hash(shift) + random->index * 2447445414u),
    };
}

/* A point on the unit circle: e^(2 pi i u), good to a thousandth, which is all that a random direction needs. */
static Pair circle(float u) {
    float t = u - 0.25f, q;
    t = t - floorf(t + 0.5f); /* -0.5 to 0.5 */
    q = u - floorf(u + 0.5f);
    float sine = q * (8 - 16 * fabsf(q)), cosine = t * (8 - 16 * fabsf(t));
    return (Pair){-cosine * (0.775f + 0.225f * fabsf(cosine)), sine * (0.775f + 0.225f * fabsf(sine))};
}

static void frame_around(Vec n, Vec *tangent, Vec *bitangent) {
    *tangent = normalize(fabsf(n.y) < 0.9f ? vec(-n.z, 0, n.x) : vec(0, n.z, -n.y));
    *bitangent = cross(n, *tangent);
}

/* A direction around n, as often as its cosine. */
static Vec scatter(Vec n, Pair random) {
    Vec tangent, bitangent;
    frame_around(n, &tangent, &bitangent);
    Pair on = circle(random.u);
    float radius = sqrtf(random.v);
    Vec flat = add(scale(tangent, on.u * radius), scale(bitangent, on.v * radius));
    return along(flat, n, sqrtf(1 - random.v));
}

/* Light of the lamp that reaches a point, from one random point of the disc it shows. */
static Vec lamplight(const Scene *scene, Vec point, Vec normal, Random *random) {
    Vec to = sub(scene->lamp, point);
    float distance = sqrtf(dot(to, to));
    Vec axis = scale(to, 1 / distance), tangent, bitangent;
    Pair pair = next_pair(random), on = circle(pair.u);
    if (dot(axis, normal) <= 0) return vec(0, 0, 0);
    float radius = sqrtf(pair.v) * scene->lamp_radius;
    frame_around(axis, &tangent, &bitangent);
    Vec spot = add(scene->lamp, add(scale(tangent, on.u * radius), scale(bitangent, on.v * radius)));
    Vec direction = normalize(sub(spot, point));
    float cosine = dot(direction, normal), size = scene->lamp_radius / distance;
    if (cosine <= 0 || scene_blocked(scene, point, direction, distance)) return vec(0, 0, 0);
    return scale(scene->lamp_light, cosine * size * size);
}

static float reflectance(const Material *material, float cosine) {
    float flat = cosine > 0 ? 1 - cosine : 1, square = flat * flat;
    return material->straight + (material->flat - material->straight) * square * square * flat;
}

static Vec lamp_seen(const Scene *scene) { return scale(scene->lamp_light, 0.08f); }

static Vec trace(const Scene *scene, Vec origin, Vec direction, Random *random, int bounces);

/* Light that falls on a diffuse surface: from the lamp, and from wherever one random path leads. */
static Vec received(const Scene *scene, const Hit *hit, Random *random, int bounces) {
    Vec light = lamplight(scene, hit->point, hit->normal, random);
    if (bounces <= 0) return add(light, scale(scene_sky(scene, hit->normal), 0.35f));
    Vec direction = scatter(hit->normal, next_pair(random));
    Hit next = scene_hit(scene, hit->point, direction);
    if (next.object == LAMP) return light; /* the lamp was already asked */
    if (next.object == NOTHING) return add(light, scene_sky(scene, direction));
    return add(light, trace(scene, hit->point, direction, random, bounces - 1));
}

static float clearness(float distance) { return expf(-0.012f * distance); }

static Vec haze(const Scene *scene, Vec direction) { return scene_sky(scene, vec(direction.x, 0, direction.z)); }

static Vec trace(const Scene *scene, Vec origin, Vec direction, Random *random, int bounces) {
    Vec weight = vec(1, 1, 1);
    for (;; bounces--) {
        Hit hit = scene_hit(scene, origin, direction);
        if (hit.object == NOTHING) return mul(weight, scene_sky(scene, direction));
        if (hit.object == LAMP) return mul(weight, lamp_seen(scene));
        if (bounces > 0 && next_pair(random).u < reflectance(&hit.material, -dot(direction, hit.normal))) {
            if (hit.material.is_metal) weight = mul(weight, hit.material.color);
            origin = hit.point, direction = reflect(direction, hit.normal);
            continue;
        }
        Vec light = mul(hit.material.color, received(scene, &hit, random, bounces < 1 ? bounces : 1));
        return mul(weight, mix(haze(scene, direction), light, clearness(hit.distance)));
    }
}

/* One sample of a pixel: metals are followed to what they show, which is split into what it reflects and what it receives. */
static void sample(const Scene *scene, Vec direction, Random *random, Pixel *pixel) {
    Vec weight = vec(1, 1, 1);
    Hit hit = scene_hit(scene, scene->eye, direction);
    float way = hit.distance;
    int metals = 0;
    for (; hit.object >= 0 && hit.object != LAMP && hit.material.is_metal && metals < MAX_BOUNCES; metals++) {
        weight = mul(weight, hit.material.color);
        direction = reflect(direction, hit.normal);
        hit = scene_hit(scene, hit.point, direction);
        way += hit.distance;
    }
    int object = hit.object == NOTHING || hit.object == LAMP ? NOTHING : hit.object + 64 * metals;
    if (random->index == 0) pixel->normal = hit.normal, pixel->point = hit.point, pixel->object = object;
    if (object != pixel->object) pixel->object = NOTHING;
    if (object == NOTHING) {
        pixel->direct = add(pixel->direct, mul(weight, hit.object == LAMP ? lamp_seen(scene) : scene_sky(scene, direction)));
        return;
    }
    float part = reflectance(&hit.material, -dot(direction, hit.normal)), clear = clearness(way);
    Vec mirrored = trace(scene, hit.point, reflect(direction, hit.normal), random, MAX_BOUNCES - 1);
    Vec direct = add(scale(mirrored, part * clear), scale(haze(scene, direction), 1 - clear));
    Vec albedo = mul(weight, scale(hit.material.color, (1 - part) * clear)), diffuse = received(scene, &hit, random, 2);
    pixel->direct = add(pixel->direct, mul(weight, direct));
    pixel->albedo = add(pixel->albedo, albedo);
    pixel->diffuse = add(pixel->diffuse, diffuse);
    pixel->matt = add(pixel->matt, mul(albedo, diffuse));
}

static void expose(const Scene *scene, Pixel *pixels, int width, int height, int samples, uint32_t frame) {
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            Pixel *pixel = &pixels[y * width + x];
            memset(pixel, 0, sizeof *pixel);
            for (int i = 0; i < samples; i++) {
                Random random = {hash(hash(frame * 0x85EBCA6Bu + (uint32_t)y) + (uint32_t)x), (uint32_t)i, 0};
                Pair place = next_pair(&random);
                float u = 2 * ((float)x + place.u) / (float)width - 1, v = 1 - 2 * ((float)y + place.v) / (float)height;
                Vec direction = add(scene->forward, add(scale(scene->right, u), scale(scene->up, v)));
                sample(scene, normalize(direction), &random, pixel);
            }
            pixel->direct = scale(pixel->direct, 1 / (float)samples);
            pixel->albedo = scale(pixel->albedo, 1 / (float)samples);
            pixel->diffuse = scale(pixel->diffuse, 1 / (float)samples);
            pixel->matt = scale(pixel->matt, 1 / (float)samples);
        }
    }
}

/* How much two pixels have to do with each other: the same surface, facing the same way, close together. */
static float kinship(const Pixel *a, const Pixel *b, float reach) {
    if (a->object != b->object || a->object == NOTHING) return 0;
    float facing = dot(a->normal, b->normal);
    if (facing < 0.5f) return 0;
    facing *= facing, facing *= facing, facing *= facing;
    Vec apart = sub(a->point, b->point);
    float near = dot(apart, apart) / (reach * reach);
    return near < 1 ? facing * (1 - near) : 0;
}

static void smooth(const Pixel *pixels, Vec *target, const Vec *source, int width, int height, int step) {
    static const float KERNEL[3] = {0.375f, 0.25f, 0.0625f};
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            int center = y * width + x;
            Vec sum = scale(source[center], KERNEL[0] * KERNEL[0]);
            float total = KERNEL[0] * KERNEL[0], reach = 0.1f * (float)step + 0.1f, bright = luminance(source[center]);
            if (pixels[center].object == NOTHING) continue;
            for (int dy = -2; dy <= 2; dy++) {
                for (int dx = -2; dx <= 2; dx++) {
                    int px = x + dx * step, py = y + dy * step, other = py * width + px;
                    if ((!dx && !dy) || px < 0 || py < 0 || px >= width || py >= height) continue;
                    float weight = kinship(&pixels[center], &pixels[other], reach);
                    if (weight <= 0) continue;
                    float difference = (luminance(source[other]) - bright) / (0.25f + bright) * (float)step;
                    weight *= KERNEL[abs(dx)] * KERNEL[abs(dy)] / (1 + difference * difference);
                    sum = add(sum, scale(source[other], weight));
                    total += weight;
                }
            }
            target[center] = scale(sum, 1 / total);
        }
    }
}

/* Narkowicz's fit of the ACES film curve, then the usual gamma. */
static uint8_t develop(float light) {
    light *= 0.72f;
    float film = light * (2.51f * light + 0.03f) / (light * (2.43f * light + 0.59f) + 0.14f);
    film = film < 0 ? 0 : film > 1 ? 1 : film;
    return (uint8_t)(255 * powf(film, 1 / 2.2f) + 0.5f);
}

int render(const Scene *scene, uint8_t *rgb, int width, int height, int samples, uint32_t frame) {
    size_t count = (size_t)width * (size_t)height;
    Pixel *pixels = malloc(count * sizeof *pixels);
    Vec *light = calloc(2 * count, sizeof *light);
    if (!pixels || !light) return free(pixels), free(light), -1;
    expose(scene, pixels, width, height, samples, frame);
    Vec *from = light, *to = light + count;
    for (size_t i = 0; i < count; i++) from[i] = pixels[i].diffuse;
    for (int pass = 0; pass < SMOOTHING_PASSES; pass++) {
        smooth(pixels, to, from, width, height, 1 << pass);
        Vec *swap = from;
        from = to, to = swap;
    }
    for (size_t i = 0; i < count; i++) {
        Vec matt = pixels[i].object == NOTHING ? pixels[i].matt : mul(pixels[i].albedo, from[i]);
        Vec color = add(pixels[i].direct, matt);
        rgb[3 * i] = develop(color.x), rgb[3 * i + 1] = develop(color.y), rgb[3 * i + 2] = develop(color.z);
    }
    free(pixels);
    free(light);
    return 0;
}
