/*
 * The median of whole numbers, as an answer for a contract: median NUMBERS ...
 *
 * Each argument is a number or several with commas between. Of an even count, the lower one of the two in the middle counts.
 * /iexec_out/median.txt gets the number as text. /iexec_out/computed.json names that file as the deterministic part of the result, and has
 * the number as callback data: 32 bytes, big-endian, two's complement, which is what a contract reads as an int256.
 */

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define OUTPUT "/iexec_out/median.txt"
#define COMPUTED "/iexec_out/computed.json"

static int64_t *numbers;
static size_t count, capacity;

static void keep(int64_t number) {
    if (count == capacity) {
        capacity = capacity ? 2 * capacity : 64;
        numbers = realloc(numbers, capacity * sizeof *numbers);
        if (!numbers) fputs("median: not enough memory\n", stderr), exit(1);
    }
    numbers[count++] = number;
}

static int read_numbers(const char *text) {
    for (const char *at = text;;) {
        char *end;
        errno = 0;
        int64_t number = strtoll(at, &end, 10);
        if (end == at || errno || (*end && *end != ',')) return fprintf(stderr, "median: %s has something that is no number\n", text), 2;
        keep(number);
        if (!*end) return 0;
        at = end + 1;
    }
}

static int ascending(const void *a, const void *b) {
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static int write_answer(int64_t answer) {
    FILE *file = fopen(OUTPUT, "wb");
    if (!file) return fputs("median: cannot write " OUTPUT "\n", stderr), 1;
    fprintf(file, "%lld\n", (long long)answer);
    if (fclose(file)) return 1;
    file = fopen(COMPUTED, "wb");
    if (!file) return fputs("median: cannot write " COMPUTED "\n", stderr), 1;
    fputs("{\"deterministic-output-path\": \"" OUTPUT "\", \"callback-data\": \"0x", file);
    for (int byte = 0; byte < 24; byte++) fputs(answer < 0 ? "ff" : "00", file);
    fprintf(file, "%016llx\"}\n", (unsigned long long)answer);
    return fclose(file) ? 1 : 0;
}

int main(int argc, char **argv) {
    int failed = 0;
    for (int i = 1; i < argc && !failed; i++) failed = read_numbers(argv[i]);
    if (!failed && !count) failed = (fputs("median: no numbers\n", stderr), 2);
    if (failed) return failed;
    qsort(numbers, count, sizeof *numbers, ascending);
    int64_t answer = numbers[(count - 1) / 2];
    printf("median of %zu numbers: %lld\n", count, (long long)answer);
    return write_answer(answer);
}
