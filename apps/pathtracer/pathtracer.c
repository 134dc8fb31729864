/* Renders one frame of an animation of dancing spheres: pathtracer --frame N --frames M --size WxH --samples S */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "png.h"
#include "render.h"
#include "scene.h"

#define OUTPUT "/iexec_out/frame.png"

typedef struct {
    int frame, frames, width, height, samples;
} Options;

static int fail(const char *option, const char *value, const char *wanted) {
    fprintf(stderr, "pathtracer: %s %s: %s\n", option, value ? value : "(nothing)", wanted);
    return 2;
}

/* A whole number from low to high that ends where the text does, or at a stop character; returns where it ends, NULL if it is none. */
static const char *number(const char *text, int low, int high, int *result) {
    char *end;
    if (*text < '0' || *text > '9') return NULL;
    long value = strtol(text, &end, 10);
    if (value < low || value > high || end - text > 9) return NULL;
    *result = (int)value;
    return end;
}

static int read_size(const char *text, Options *options) {
    const char *end = number(text, 16, 4096, &options->width);
    if (!end || *end != 'x') return 0;
    end = number(end + 1, 16, 4096, &options->height);
    return end && !*end;
}

static int read_count(const char *text, int low, int high, int *result) {
    const char *end = number(text, low, high, result);
    return end && !*end;
}

static int read_options(int argc, char **argv, Options *options) {
    for (int i = 1; i < argc; i += 2) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (!value) return fail(name, value, "needs a value");
        if (!strcmp(name, "--frame")) {
            if (!read_count(value, 0, 99999, &options->frame)) return fail(name, value, "must be a whole number from 0 to 99999");
        } else if (!strcmp(name, "--frames")) {
            if (!read_count(value, 1, 100000, &options->frames)) return fail(name, value, "must be a whole number from 1 to 100000");
        } else if (!strcmp(name, "--size")) {
            if (!read_size(value, options)) return fail(name, value, "must be WIDTHxHEIGHT, each from 16 to 4096, for example 320x240");
        } else if (!strcmp(name, "--samples")) {
            if (!read_count(value, 1, 4096, &options->samples)) return fail(name, value, "must be a whole number from 1 to 4096");
        } else {
            return fail(name, value, "unknown option; there are --frame, --frames, --size and --samples");
        }
    }
    return 0;
}

int main(int argc, char **argv) {
    Options options = {0, 24, 320, 240, 4};
    int wrong = read_options(argc, argv, &options);
    if (wrong) return wrong;
    uint8_t *rgb = malloc(3 * (size_t)options.width * (size_t)options.height);
    static Scene scene;
    scene_make(&scene, (float)(options.frame % options.frames) / (float)options.frames, (float)options.width / (float)options.height);
    if (!rgb || render(&scene, rgb, options.width, options.height, options.samples, (uint32_t)options.frame)) {
        fputs("pathtracer: not enough memory for this size\n", stderr);
        return 1;
    }
    if (png_write(OUTPUT, rgb, options.width, options.height)) {
        fputs("pathtracer: cannot write " OUTPUT "\n", stderr);
        return 1;
    }
    free(rgb);
    printf("frame %d of %d: %dx%d, %d samples a pixel\n", options.frame, options.frames, options.width, options.height, options.samples);
    return 0;
}
