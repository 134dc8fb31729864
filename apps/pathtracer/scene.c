#include "scene.h"

#define TURN 6.2831853f
#define NEAR 1e-3f
#define FAR 1e9f

static const Vec PALETTE[] = {
    {0.90f, 0.22f, 0.18f}, {0.96f, 0.55f, 0.12f}, {0.96f, 0.80f, 0.22f}, {0.35f, 0.72f, 0.30f},
    {0.13f, 0.60f, 0.68f}, {0.18f, 0.36f, 0.80f}, {0.50f, 0.27f, 0.72f}, {0.88f, 0.36f, 0.60f},
};
enum { RING = sizeof PALETTE / sizeof *PALETTE };

/* A ring of small spheres that dance around a large mirror and two companions, one of glazed white and one of gold. */
void scene_make(Scene *scene, float turn, float aspect) {
    int n = 0;
    for (int i = 0; i < RING; i++) {
        float angle = TURN * (float)i / RING, hop = fabsf(sinf(TURN * (turn * 2 + (float)i / RING * 3)));
        Vec center = vec(2.35f * cosf(angle), 0.42f + 0.75f * hop * hop, 2.35f * sinf(angle));
        scene->spheres[n++] = (Sphere){center, 0.42f, {PALETTE[i], 0.04f, 0.7f, 0}};
    }
    scene->spheres[n++] = (Sphere){vec(0, 1.05f, 0), 1.05f, {vec(0.90f, 0.91f, 0.93f), 1, 1, 1}};
    scene->spheres[n++] = (Sphere){vec(-3.5f, 0.7f, -2.2f), 0.7f, {vec(0.82f, 0.81f, 0.78f), 0.05f, 0.7f, 0}};
    scene->spheres[n++] = (Sphere){vec(3.3f, 0.6f, -2.4f), 0.6f, {vec(0.98f, 0.68f, 0.28f), 1, 1, 1}};
    scene->lamp = vec(4.5f, 6.5f, 3.0f);
    scene->lamp_radius = 1.1f;
    scene->lamp_light = vec(72, 60, 46);

    float angle = TURN * (turn + 0.13f), sway = sinf(TURN * turn);
    scene->eye = vec(7.2f * cosf(angle), 2.9f + 0.9f * sway, 7.2f * sinf(angle));
    Vec target = vec(0, 0.75f, 0);
    scene->forward = normalize(sub(target, scene->eye));
    scene->right = normalize(cross(scene->forward, vec(0, 1, 0)));
    scene->up = scale(cross(scene->right, scene->forward), 0.42f);
    scene->right = scale(scene->right, 0.42f * aspect);
}

/* Where a ray with a direction of length 1 meets a sphere; 0 when it does not. */
static float meet(Vec center, float radius, Vec origin, Vec direction) {
    Vec to = sub(center, origin);
    float middle = dot(to, direction), inside = radius * radius - (dot(to, to) - middle * middle);
    if (inside < 0) return 0;
    float half = sqrtf(inside);
    if (middle - half > NEAR) return middle - half;
    return middle + half > NEAR ? middle + half : 0;
}

static Material floor_material(Vec point) {
    int odd = ((int)floorf(point.x) + (int)floorf(point.z)) & 1;
    float far = sqrtf(point.x * point.x + point.z * point.z), fade = 1 - expf(-0.045f * far);
    Vec color = odd ? vec(0.60f, 0.58f, 0.55f) : vec(0.13f, 0.15f, 0.20f);
    return (Material){mix(color, vec(0.33f, 0.335f, 0.345f), fade), 0, 0, 0};
}

Hit scene_hit(const Scene *scene, Vec origin, Vec direction) {
    Hit hit = {.object = NOTHING, .distance = FAR};
    for (int i = 0; i < SPHERES; i++) {
        float t = meet(scene->spheres[i].center, scene->spheres[i].radius, origin, direction);
        if (t > 0 && t < hit.distance) hit.distance = t, hit.object = i;
    }
    float lamp = meet(scene->lamp, scene->lamp_radius, origin, direction);
    if (lamp > 0 && lamp < hit.distance) hit.distance = lamp, hit.object = LAMP;
    float ground = direction.y < 0 ? -origin.y / direction.y : 0;
    if (ground > NEAR && ground < hit.distance) hit.distance = ground, hit.object = FLOOR;
    if (hit.object == NOTHING) return hit;
    hit.point = along(origin, direction, hit.distance);
    if (hit.object < SPHERES) {
        hit.normal = scale(sub(hit.point, scene->spheres[hit.object].center), 1 / scene->spheres[hit.object].radius);
        hit.material = scene->spheres[hit.object].material;
    } else if (hit.object == FLOOR) {
        hit.normal = vec(0, 1, 0);
        hit.material = floor_material(hit.point);
    }
    hit.point = along(hit.point, hit.normal, NEAR); /* so that what goes on from here does not meet the same surface */
    return hit;
}

int scene_blocked(const Scene *scene, Vec origin, Vec direction, float distance) {
    for (int i = 0; i < SPHERES; i++) {
        float t = meet(scene->spheres[i].center, scene->spheres[i].radius, origin, direction);
        if (t > 0 && t < distance) return 1;
    }
    return 0;
}

/* An evening: warm where the lamp stands, blue above, with a soft band at the horizon. */
Vec scene_sky(const Scene *scene, Vec direction) {
    float height = direction.y > 0 ? sqrtf(direction.y) : 0, toward = 0.5f + 0.5f * dot(direction, normalize(scene->lamp));
    Vec low = mix(vec(0.36f, 0.30f, 0.38f), vec(1.0f, 0.52f, 0.28f), toward * toward * toward);
    return mix(low, vec(0.08f, 0.15f, 0.36f), height);
}
