/* Traps in a way of one's choice: trap abort|divide|wild|null|stack */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static volatile int zero;
static volatile uintptr_t nowhere;

static int deep(int n) { return n < 0 ? 0 : deep(n + 1 + zero) ^ zero; }

int main(int argc, char **argv) {
    const char *way = argc > 1 ? argv[1] : "abort";
    if (!strcmp(way, "divide")) return argc * 1000 / zero;
    if (!strcmp(way, "wild")) return *(volatile int *)(0xFFFFFFF0u);
    if (!strcmp(way, "null")) return ((int (*)(void))nowhere)();
    if (!strcmp(way, "stack")) return deep(zero);
    abort();
}
