/*
 * Counts the words of text files: wordcount [FILE ...]
 *
 * Names are relative to /iexec_in; without any, every file there is read. A word is a run of letters and digits, in lower case as far as
 * ASCII goes; letters of other scripts are any valid UTF-8 sequence that is not known as punctuation. Other bytes separate words.
 * /iexec_out/counts.txt gets a line "count word" for each, the most frequent first, equally frequent ones in the order of their bytes.
 */

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define INPUT "/iexec_in"
#define OUTPUT "/iexec_out/counts.txt"

enum { MAX_PATH = 4096, MAX_WORD = 256, FIRST_SLOTS = 1 << 12 };

typedef struct {
    char *word;
    uint64_t count;
} Entry;

static Entry *table;
static size_t slots, words_used;
static uint64_t words_total, files_total;

static void out_of_memory(void) {
    fputs("wordcount: not enough memory\n", stderr);
    exit(1);
}

/* FNV-1a. */
static uint32_t hash(const char *word) {
    uint32_t value = 2166136261u;
    for (; *word; word++) value = (value ^ (uint8_t)*word) * 16777619u;
    return value;
}

static Entry *find(const char *word) {
    size_t at = hash(word) & (slots - 1);
    while (table[at].word && strcmp(table[at].word, word)) at = (at + 1) & (slots - 1);
    return &table[at];
}

static void grow(void) {
    Entry *old = table;
    size_t count = slots;
    slots = slots ? 2 * slots : FIRST_SLOTS;
    table = calloc(slots, sizeof *table);
    if (!table) out_of_memory();
    for (size_t i = 0; i < count; i++) {
        if (old[i].word) *find(old[i].word) = old[i];
    }
    free(old);
}

static void count_word(const char *word) {
    if (2 * words_used >= slots) grow();
    Entry *entry = find(word);
    if (!entry->word) {
        entry->word = strdup(word);
        if (!entry->word) out_of_memory();
        words_used++;
    }
    entry->count++;
    words_total++;
}

/* The length of the UTF-8 sequence that starts here and stands for a letter; 0 when there is none. */
static int letter(const uint8_t *at, const uint8_t *end) {
    uint8_t first = *at;
    if (first < 0x80) return (first >= '0' && first <= '9') || ((first | 32) >= 'a' && (first | 32) <= 'z');
    int length = first >= 0xF0 && first <= 0xF4 ? 4 : first >= 0xE0 ? 3 : first >= 0xC2 ? 2 : 0;
    if (!length || first > 0xF4 || end - at < length) return 0;
    uint32_t code = first & (0x7F >> length);
    for (int i = 1; i < length; i++) {
        if ((at[i] & 0xC0) != 0x80) return 0;
        code = code << 6 | (at[i] & 0x3F);
    }
    if ((length == 3 && code < 0x800) || (length == 4 && code < 0x10000) || code > 0x10FFFF) return 0;
    int latin_sign = code < 0xC0 && code != 0xAA && code != 0xB5 && code != 0xBA;
    int is_sign = code == 0xD7 || code == 0xF7 || (code >= 0x2000 && code <= 0x2BFF) || (code >= 0x3000 && code <= 0x303F) ||
                  (code >= 0xD800 && code <= 0xF8FF) || code == 0xFEFF || (code >= 0xFF00 && code <= 0xFF0F);
    return latin_sign || is_sign ? 0 : length;
}

static void count_text(const uint8_t *text, size_t size) {
    char word[MAX_WORD + 1];
    size_t length = 0;
    const uint8_t *end = text + size;
    for (const uint8_t *at = text; at < end;) {
        int bytes = letter(at, end);
        if (bytes && length + (size_t)bytes <= MAX_WORD) {
            for (int i = 0; i < bytes; i++) word[length++] = (char)(at[i] >= 'A' && at[i] <= 'Z' ? at[i] + 32 : at[i]);
        } else if (!bytes && length) {
            word[length] = 0, length = 0;
            count_word(word);
        }
        at += bytes ? bytes : 1;
    }
    if (length) word[length] = 0, count_word(word);
}

static int count_file(const char *path) {
    FILE *file = fopen(path, "rb");
    uint8_t *text = NULL;
    size_t size = 0, capacity = 0, got;
    if (!file) return fprintf(stderr, "wordcount: cannot read %s\n", path), 2;
    do {
        if (size == capacity) {
            capacity = capacity ? 2 * capacity : 1 << 16;
            text = realloc(text, capacity);
            if (!text) out_of_memory();
        }
        got = fread(text + size, 1, capacity - size, file);
        size += got;
    } while (got);
    fclose(file);
    count_text(text, size);
    free(text);
    files_total++;
    return 0;
}

static int count_folder(const char *path) {
    DIR *folder = opendir(path);
    if (!folder) return fprintf(stderr, "wordcount: cannot read %s\n", path), 2;
    int failed = 0;
    for (struct dirent *entry; !failed && (entry = readdir(folder));) {
        char below[MAX_PATH];
        struct stat status;
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        if (snprintf(below, sizeof below, "%s/%s", path, entry->d_name) >= MAX_PATH || stat(below, &status)) continue;
        failed = S_ISDIR(status.st_mode) ? count_folder(below) : count_file(below);
    }
    closedir(folder);
    return failed;
}

static int by_count(const void *a, const void *b) {
    const Entry *left = a, *right = b;
    if (left->count != right->count) return left->count < right->count ? 1 : -1;
    return left->word && right->word ? strcmp(left->word, right->word) : !left->word - !right->word;
}

static int write_counts(void) {
    FILE *file = fopen(OUTPUT, "wb");
    if (!file) return fputs("wordcount: cannot write " OUTPUT "\n", stderr), 1;
    qsort(table, slots, sizeof *table, by_count);
    for (size_t i = 0; i < words_used; i++) fprintf(file, "%llu %s\n", (unsigned long long)table[i].count, table[i].word);
    return fclose(file) ? 1 : 0;
}

int main(int argc, char **argv) {
    int failed = argc < 2 ? count_folder(INPUT) : 0;
    for (int i = 1; i < argc && !failed; i++) {
        char path[MAX_PATH];
        failed = snprintf(path, sizeof path, INPUT "/%s", argv[i]) >= MAX_PATH ? 2 : count_file(path);
    }
    if (!failed && !files_total) failed = (fputs("wordcount: no input file in " INPUT "\n", stderr), 2);
    if (!failed) failed = write_counts();
    if (!failed) {
        printf("%llu words in %llu files, %zu different\n", (unsigned long long)words_total, (unsigned long long)files_total, words_used);
    }
    return failed;
}
