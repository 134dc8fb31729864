/* Path tracing of one picture. */
#ifndef RENDER_H
#define RENDER_H

#include <stdint.h>

#include "scene.h"

/* Fills width x height pixels of 3 bytes; equal arguments give equal bytes. Returns 0, or -1 when memory is short. */
int render(const Scene *scene, uint8_t *rgb, int width, int height, int samples, uint32_t frame);

#endif
