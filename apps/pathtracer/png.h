/* Writes 8-bit RGB images as PNG files. */
#ifndef PNG_H
#define PNG_H

#include <stdint.h>

/* Writes width x height pixels of 3 bytes; returns 0, or -1 when the file cannot be written or memory is short. */
int png_write(const char *path, const uint8_t *rgb, int width, int height);

#endif
