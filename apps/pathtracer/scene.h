/* What there is to see: spheres on a floor, a lamp, a sky, and a camera that goes round them once. */
#ifndef SCENE_H
#define SCENE_H

#include "vec.h"

enum { SPHERES = 11, FLOOR = SPHERES, LAMP = SPHERES + 1, NOTHING = -1 };

typedef struct {
    Vec color;
    float straight, flat; /* what part it reflects when looked at straight, and at a flat angle */
    int is_metal;         /* reflects everything, in its colour */
} Material;

typedef struct {
    Vec center;
    float radius;
    Material material;
} Sphere;

typedef struct {
    Sphere spheres[SPHERES];
    Vec lamp;
    float lamp_radius;
    Vec lamp_light;
    Vec eye, right, up, forward; /* right and up are as long as half the picture is wide and high, one unit away */
} Scene;

typedef struct {
    int object;
    float distance;
    Vec point, normal;
    Material material;
} Hit;

/* turn: how far the animation is, from 0 to 1; aspect: width by height. */
void scene_make(Scene *scene, float turn, float aspect);
/* The nearest thing that a ray meets; its object is NOTHING when it leaves for the sky. */
Hit scene_hit(const Scene *scene, Vec origin, Vec direction);
/* Whether anything stands on the way, up to a distance. */
int scene_blocked(const Scene *scene, Vec origin, Vec direction, float distance);
Vec scene_sky(const Scene *scene, Vec direction);

#endif
