/*
 * A small PNG encoder: each row gets the filter that leaves the smallest differences, and what remains is deflated in one block with
 * Huffman codes of its own.
 *
 * Sources: PNG specification (W3C), sections 5 and 9; RFC 1950 (zlib); RFC 1951 (deflate).
 */

#include "png.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LITERALS = 286,
    DISTANCES = 30,
    LENGTH_CODES = 19,
    END_OF_BLOCK = 256,
    MAX_CODE_BITS = 15,
    MAX_LENGTH_CODE_BITS = 7,
    HASH_BITS = 15,
    WINDOW = 32768,
    MIN_MATCH = 4,
    MAX_MATCH = 258,
};

typedef struct {
    uint8_t *data;
    size_t size, capacity;
    uint64_t bits;
    int bit_count;
} Output;

typedef struct {
    uint16_t code[LITERALS];
    uint8_t bits[LITERALS];
} Huffman;

/* A literal (distance 0) or a match. */
typedef struct {
    uint16_t length, distance;
} Token;

static int reserve(Output *out, size_t more) {
    if (out->size + more <= out->capacity) return 1;
    size_t capacity = out->capacity * 2 > out->size + more ? out->capacity * 2 : out->size + more;
    uint8_t *data = realloc(out->data, capacity);
    if (!data) return 0;
    out->data = data, out->capacity = capacity;
    return 1;
}

static void put_bits(Output *out, uint32_t value, int count) {
    out->bits |= (uint64_t)value << out->bit_count;
    out->bit_count += count;
    for (; out->bit_count >= 8; out->bit_count -= 8, out->bits >>= 8) out->data[out->size++] = (uint8_t)out->bits;
}

static void put_u32(uint8_t *at, uint32_t value) {
    for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* Code lengths: merge the two rarest until one is left; where a code gets too long, flatten the counts and try again. */
static void code_lengths(const uint32_t *counts, int symbols, int max_bits, uint8_t *bits) {
    static uint32_t weight[2 * LITERALS];
    static int parent[2 * LITERALS], alive[2 * LITERALS];
    for (uint32_t flatten = 0;; flatten = flatten * 2 + 1) {
        int nodes = symbols, used = 0, longest = 0;
        for (int i = 0; i < symbols; i++) {
            alive[i] = counts[i] > 0;
            weight[i] = counts[i] + flatten;
            parent[i] = -1;
            used += alive[i];
            bits[i] = 0;
        }
        for (int merges = used - 1; merges > 0; merges--, nodes++) {
            int least[2] = {-1, -1};
            for (int i = 0; i < nodes; i++) {
                if (!alive[i]) continue;
                if (least[0] < 0 || weight[i] < weight[least[0]]) {
                    least[1] = least[0], least[0] = i;
                } else if (least[1] < 0 || weight[i] < weight[least[1]]) {
                    least[1] = i;
                }
            }
            alive[least[0]] = alive[least[1]] = 0;
            parent[least[0]] = parent[least[1]] = nodes;
            parent[nodes] = -1, alive[nodes] = 1, weight[nodes] = weight[least[0]] + weight[least[1]];
        }
        for (int i = 0; i < symbols; i++) {
            if (!counts[i]) continue;
            int depth = 0;
            for (int node = i; parent[node] >= 0; node = parent[node]) depth++;
            bits[i] = (uint8_t)(depth ? depth : 1);
            longest = depth > longest ? depth : longest;
        }
        if (longest <= max_bits) return;
    }
}

/* RFC 1951, 3.2.2: codes of one length count upwards; they are sent from their highest bit, so they are stored reversed. */
static void make_codes(Huffman *huffman, int symbols) {
    uint32_t next = 0;
    for (int length = 1; length <= MAX_CODE_BITS; length++, next <<= 1) {
        for (int i = 0; i < symbols; i++) {
            if (huffman->bits[i] != length) continue;
            uint32_t reversed = 0;
            for (int bit = 0; bit < length; bit++) reversed |= (next >> bit & 1) << (length - 1 - bit);
            huffman->code[i] = (uint16_t)reversed;
            next++;
        }
    }
}

/* RFC 1951, 3.2.5: the symbol of a value, and the base and number of extra bits behind it. */
static int bucket(int value, int first, int step, int *base, int *extra) {
    int symbol = 0, start = first, width = 0;
    while (value >= start + (1 << width)) {
        start += 1 << width;
        symbol++;
        if (symbol >= 2 * step && symbol % step == 0) width++;
    }
    *base = start, *extra = width;
    return symbol;
}

static int length_symbol(int length, int *base, int *extra) {
    if (length == MAX_MATCH) {
        *base = MAX_MATCH, *extra = 0;
        return LITERALS - 1;
    }
    return 257 + bucket(length, 3, 4, base, extra);
}

static int distance_symbol(int distance, int *base, int *extra) { return bucket(distance, 1, 2, base, extra); }

static size_t match_length(const uint8_t *a, const uint8_t *b, size_t limit) {
    size_t length = 0;
    while (length < limit && a[length] == b[length]) length++;
    return length;
}

/* Greedy matching against the last place with the same four bytes. */
static size_t find_tokens(const uint8_t *data, size_t size, Token *tokens) {
    static int32_t last[1 << HASH_BITS];
    memset(last, -1, sizeof last);
    size_t count = 0;
    for (size_t at = 0; at < size;) {
        size_t length = 0, distance = 0;
        if (at + MIN_MATCH <= size) {
            uint32_t word;
            memcpy(&word, data + at, 4);
            int32_t *slot = &last[(word * 2654435761u) >> (32 - HASH_BITS)];
            if (*slot >= 0 && at - (size_t)*slot < WINDOW) {
                distance = at - (size_t)*slot;
                length = match_length(data + *slot, data + at, size - at < MAX_MATCH ? size - at : MAX_MATCH);
            }
            *slot = (int32_t)at;
        }
        if (length < MIN_MATCH) length = 1, distance = 0;
        tokens[count++] = (Token){(uint16_t)(distance ? length : data[at]), (uint16_t)distance};
        at += length;
    }
    return count;
}

static void put_trees(Output *out, const Huffman *literals, const Huffman *distances) {
    static const uint8_t order[LENGTH_CODES] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    uint32_t counts[LENGTH_CODES] = {0};
    Huffman lengths = {{0}, {0}};
    uint8_t all[LITERALS + DISTANCES];
    memcpy(all, literals->bits, LITERALS);
    memcpy(all + LITERALS, distances->bits, DISTANCES);
    for (size_t i = 0; i < sizeof all; i++) counts[all[i]]++;
    code_lengths(counts, LENGTH_CODES, MAX_LENGTH_CODE_BITS, lengths.bits);
    make_codes(&lengths, LENGTH_CODES);
    put_bits(out, LITERALS - 257, 5);
    put_bits(out, DISTANCES - 1, 5);
    put_bits(out, LENGTH_CODES - 4, 4);
    for (int i = 0; i < LENGTH_CODES; i++) put_bits(out, lengths.bits[order[i]], 3);
    for (size_t i = 0; i < sizeof all; i++) put_bits(out, lengths.code[all[i]], lengths.bits[all[i]]);
}

static void put_tokens(Output *out, const Token *tokens, size_t count, const Huffman *literals, const Huffman *distances) {
    for (size_t i = 0; i < count; i++) {
        int base, extra;
        if (!tokens[i].distance) {
            put_bits(out, literals->code[tokens[i].length], literals->bits[tokens[i].length]);
            continue;
        }
        int symbol = length_symbol(tokens[i].length, &base, &extra);
        put_bits(out, literals->code[symbol], literals->bits[symbol]);
        put_bits(out, (uint32_t)(tokens[i].length - base), extra);
        symbol = distance_symbol(tokens[i].distance, &base, &extra);
        put_bits(out, distances->code[symbol], distances->bits[symbol]);
        put_bits(out, (uint32_t)(tokens[i].distance - base), extra);
    }
    put_bits(out, literals->code[END_OF_BLOCK], literals->bits[END_OF_BLOCK]);
}

static uint32_t adler32(const uint8_t *data, size_t size) {
    uint32_t a = 1, b = 0;
    for (size_t i = 0; i < size; i++) a = (a + data[i]) % 65521, b = (b + a) % 65521;
    return b << 16 | a;
}

/* One zlib stream with one deflate block. */
static int compress(Output *out, const uint8_t *data, size_t size) {
    static Huffman literals, distances;
    static uint32_t counts[LITERALS], distance_counts[DISTANCES];
    memset(counts, 0, sizeof counts);
    memset(distance_counts, 0, sizeof distance_counts);
    Token *tokens = malloc(size * sizeof *tokens);
    if (!tokens || !reserve(out, size * 2 + 1024)) return free(tokens), -1; /* a symbol never takes more than 15 bits */
    size_t count = find_tokens(data, size, tokens);
    for (size_t i = 0; i < count; i++) {
        int base, extra;
        counts[tokens[i].distance ? length_symbol(tokens[i].length, &base, &extra) : tokens[i].length]++;
        if (tokens[i].distance) distance_counts[distance_symbol(tokens[i].distance, &base, &extra)]++;
    }
    counts[END_OF_BLOCK]++;
    code_lengths(counts, LITERALS, MAX_CODE_BITS, literals.bits);
    code_lengths(distance_counts, DISTANCES, MAX_CODE_BITS, distances.bits);
    make_codes(&literals, LITERALS);
    make_codes(&distances, DISTANCES);
    put_bits(out, 0x0178, 16); /* zlib: deflate, window of 32 KiB */
    put_bits(out, 1, 1);       /* the last block */
    put_bits(out, 2, 2);       /* with codes of its own */
    put_trees(out, &literals, &distances);
    put_tokens(out, tokens, count, &literals, &distances);
    put_bits(out, 0, (8 - out->bit_count) & 7);
    put_u32(out->data + out->size, adler32(data, size));
    out->size += 4;
    free(tokens);
    return 0;
}

static int paeth(int left, int up, int corner) {
    int guess = left + up - corner, a = abs(guess - left), b = abs(guess - up), c = abs(guess - corner);
    return a <= b && a <= c ? left : b <= c ? up : corner;
}

/* PNG, 9.2: what a filter predicts for a byte from the ones to the left of it, above it, and both. */
static int predict(int filter, int left, int up, int corner) {
    switch (filter) {
        case 1: return left;
        case 2: return up;
        case 3: return (left + up) / 2;
        case 4: return paeth(left, up, corner);
        default: return 0;
    }
}

static void filter_row(uint8_t *target, const uint8_t *row, const uint8_t *above, int bytes) {
    long best = -1;
    int chosen = 0;
    for (int pass = 0; pass < 6; pass++) { /* five to compare, one to write */
        int filter = pass < 5 ? pass : chosen;
        long sum = 0;
        for (int i = 0; i < bytes; i++) {
            int left = i >= 3 ? row[i - 3] : 0, up = above ? above[i] : 0, corner = above && i >= 3 ? above[i - 3] : 0;
            uint8_t difference = (uint8_t)(row[i] - predict(filter, left, up, corner));
            sum += abs((int8_t)difference);
            target[1 + i] = difference;
        }
        if (pass < 5 && (best < 0 || sum < best)) best = sum, chosen = filter;
    }
    target[0] = (uint8_t)chosen;
}

static uint32_t crc32(uint32_t crc, const uint8_t *data, size_t size) {
    crc = ~crc;
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
    }
    return ~crc;
}

static int put_chunk(FILE *file, const char *type, const uint8_t *data, size_t size) {
    uint8_t head[8], tail[4];
    put_u32(head, (uint32_t)size);
    memcpy(head + 4, type, 4);
    put_u32(tail, crc32(crc32(0, head + 4, 4), data, size));
    return fwrite(head, 8, 1, file) == 1 && (!size || fwrite(data, size, 1, file) == 1) && fwrite(tail, 4, 1, file) == 1 ? 0 : -1;
}

static int put_file(const char *path, const uint8_t *head, const Output *body) {
    static const uint8_t signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
    FILE *file = fopen(path, "wb");
    if (!file) return -1;
    int failed = fwrite(signature, 8, 1, file) != 1 || put_chunk(file, "IHDR", head, 13) || put_chunk(file, "IDAT", body->data, body->size) ||
                 put_chunk(file, "IEND", NULL, 0);
    return fclose(file) || failed ? -1 : 0;
}

int png_write(const char *path, const uint8_t *rgb, int width, int height) {
    int bytes = 3 * width;
    size_t size = (size_t)height * (size_t)(bytes + 1);
    uint8_t *filtered = malloc(size), head[13] = {0};
    if (!filtered) return -1;
    for (int y = 0; y < height; y++) {
        const uint8_t *row = rgb + (size_t)y * (size_t)bytes;
        filter_row(filtered + (size_t)y * (size_t)(bytes + 1), row, y ? row - bytes : NULL, bytes);
    }
    put_u32(head, (uint32_t)width);
    put_u32(head + 4, (uint32_t)height);
    head[8] = 8, head[9] = 2; /* 8 bits a channel, colour */
    Output out = {0};
    int failed = compress(&out, filtered, size) || put_file(path, head, &out);
    free(out.data);
    free(filtered);
    return failed ? -1 : 0;
}
