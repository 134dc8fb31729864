/* Takes memory until there is none: memory STEP [polite], where a polite one notices and exits with code 0. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
    size_t step = argc > 1 ? (size_t)atol(argv[1]) : 1 << 20, total = 0;
    for (;;) {
        char *volatile block = malloc(step);
        if (!block) {
            printf("got %zu bytes\n", total);
            return argc > 2 && !strcmp(argv[2], "polite") ? 0 : 1;
        }
        memset(block, 1, step);
        total += step;
    }
}
