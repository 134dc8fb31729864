/*
 * Predictions of a trained model that is rented by the call: inference ROWS
 *
 * The model is the deal's dataset, made by train.py: a small network, of which one layer alone is logistic or linear regression. ROWS is
 * what to predict for: numbers with commas between, rows with semicolons between. When it is empty, the requester's first secret has the
 * rows, which then reach nobody but this program. /iexec_out/predictions.csv gets a line for each row: the class and, if the model's owner
 * allows digits of it, its probability; or the number that a model without classes predicts.
 *
 * The owner limits in the model how many rows a call may have and how many digits it gives: whoever may ask for enough exact answers can
 * train a copy.
 *
 * The model, little-endian: "VMODEL1\n"; inputs, layers, classes, most rows, digits, each 4 bytes; for each input its mean and its
 * deviation; for each layer its number of units in 8 bytes, and for each unit its weights and its bias; for each class the length of its
 * name, one byte, and its name. Numbers of a model are doubles. Between layers, what is negative becomes 0.
 */

#include <dirent.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC "VMODEL1\n"
#define MAGIC_SIZE 8
#define MOST_UNITS 4096
#define MOST_LAYERS 16
#define MOST_CLASSES 256
#define MOST_MODEL (64 << 20)

static uint8_t *bytes;
static size_t size, at;

static struct {
    uint32_t inputs, layers, classes, rows, digits;
    double mean[MOST_UNITS], deviation[MOST_UNITS];
    uint32_t units[MOST_LAYERS];
    const uint8_t *weights[MOST_LAYERS];
    char name[MOST_CLASSES][256];
} model;

static int complain(const char *what) {
    fprintf(stderr, "inference: %s\n", what);
    return 2;
}

static uint32_t whole(void) {
    uint32_t found = 0;
    for (int byte = 0; byte < 4 && at + 4 <= size; byte++) found |= (uint32_t)bytes[at + byte] << (8 * byte);
    at += 4;
    return found;
}

static double number(const uint8_t *from) {
    double found;
    memcpy(&found, from, sizeof found);
    return found;
}

static int load(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) return 1;
    long length = fseek(file, 0, SEEK_END) ? -1 : ftell(file);
    if (length < 0 || length > MOST_MODEL) return fclose(file), 1;
    bytes = malloc((size_t)length + 1);
    if (!bytes) complain("not enough memory"), exit(1);
    rewind(file);
    size = fread(bytes, 1, (size_t)length, file);
    fclose(file);
    return size < MAGIC_SIZE || memcmp(bytes, MAGIC, MAGIC_SIZE);
}

/* The model is the dataset that the deal names or, for trying it at home, the first input that is a model. */
static int find(void) {
    char path[1024];
    const char *name = getenv("IEXEC_DATASET_FILENAME");
    if (name && *name) return snprintf(path, sizeof path, "/iexec_in/%s", name), load(path);
    DIR *folder = opendir("/iexec_in");
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        snprintf(path, sizeof path, "/iexec_in/%s", entry->d_name);
        if (entry->d_name[0] != '.' && !load(path)) return 0;
        free(bytes), bytes = NULL;
    }
    return 1;
}

static int read_layers(void) {
    uint32_t before = model.inputs;
    for (uint32_t layer = 0; layer < model.layers; layer++) {
        uint32_t units = whole(), high = whole();
        if (!units || high || units > MOST_UNITS) return complain("the model has a layer of an unfit size");
        model.units[layer] = units, model.weights[layer] = bytes + at;
        at += (size_t)units * (before + 1) * 8;
        if (at > size) return complain("the model is cut off");
        before = units;
    }
    return before == (model.classes ? model.classes : 1) ? 0 : complain("the model's last layer does not fit its classes");
}

static int read_model(void) {
    at = MAGIC_SIZE;
    model.inputs = whole(), model.layers = whole(), model.classes = whole(), model.rows = whole(), model.digits = whole();
    if (!model.inputs || model.inputs > MOST_UNITS || !model.layers || model.layers > MOST_LAYERS || model.classes > MOST_CLASSES)
        return complain("the model has an unfit size");
    if (model.classes == 1 || model.digits > 15 || at + (size_t)model.inputs * 16 > size) return complain("the model is none");
    for (uint32_t input = 0; input < model.inputs; input++, at += 16)
        model.mean[input] = number(bytes + at), model.deviation[input] = number(bytes + at + 8);
    if (read_layers()) return 2;
    for (uint32_t class = 0; class < model.classes; class++) {
        size_t length = at < size ? bytes[at++] : 0;
        if (!length || at + length > size) return complain("the model's names are cut off");
        memcpy(model.name[class], bytes + at, length), model.name[class][length] = 0;
        at += length;
    }
    return at == size ? 0 : complain("the model has more than it says");
}

/* The last layer's values for a row. */
static const double *forward(const double *row) {
    static double kept[2][MOST_UNITS];
    double *values = kept[0], *next = kept[1];
    uint32_t before = model.inputs;
    for (uint32_t input = 0; input < before; input++) values[input] = (row[input] - model.mean[input]) / model.deviation[input];
    for (uint32_t layer = 0; layer < model.layers; layer++) {
        const uint8_t *weight = model.weights[layer];
        for (uint32_t unit = 0; unit < model.units[layer]; unit++) {
            double sum = 0;
            for (uint32_t from = 0; from < before; from++, weight += 8) sum += values[from] * number(weight);
            sum += number(weight), weight += 8;
            next[unit] = sum > 0 || layer + 1 == model.layers ? sum : 0;
        }
        double *swapped = values;
        values = next, next = swapped, before = model.units[layer];
    }
    return values;
}

static void predict(const double *row, FILE *out) {
    const double *values = forward(row);
    if (!model.classes) {
        fprintf(out, "%.*f\n", (int)model.digits, values[0]);
        return;
    }
    uint32_t best = 0;
    for (uint32_t class = 1; class < model.classes; class++)
        if (values[class] > values[best]) best = class;
    double sum = 0;
    for (uint32_t class = 0; class < model.classes; class++) sum += exp(values[class] - values[best]);
    if (model.digits) fprintf(out, "%s,%.*f\n", model.name[best], (int)model.digits, 1 / sum);
    else fprintf(out, "%s\n", model.name[best]);
}

static int predict_all(const char *text, FILE *out) {
    static double row[MOST_UNITS];
    fputs(!model.classes ? "prediction\n" : model.digits ? "class,probability\n" : "class\n", out);
    uint32_t rows = 0, column = 0;
    for (const char *from = text; *from;) {
        char *end;
        double found = strtod(from, &end);
        if (end == from || !isfinite(found)) return complain("a row has something that is no number");
        if (column == model.inputs) return complain("a row has too many numbers");
        row[column++] = found;
        while (*end == ' ' || *end == '\n' || *end == '\r') end++;
        if (!*end || *end == ';') {
            if (column != model.inputs) return complain("a row has too few numbers");
            if (++rows > model.rows) return complain("more rows than the model's owner allows in a call");
            predict(row, out);
            column = 0;
        } else if (*end != ',') {
            return complain("a row has something that is no number");
        }
        from = *end ? end + 1 : end;
        while (*from == ' ' || *from == '\n' || *from == '\r') from++;
    }
    return rows && !column ? 0 : complain("there is nothing to predict for");
}

int main(int argc, char **argv) {
    const char *rows = argc > 1 ? argv[1] : "";
    if (!*rows) rows = getenv("IEXEC_REQUESTER_SECRET_1");
    if (!rows || !*rows) return complain("give rows as the argument, or in the requester's first secret");
    if (find()) return complain("there is no model among the inputs: it is the dataset that the deal names");
    if (read_model()) return 2;
    FILE *out = fopen("/iexec_out/predictions.csv", "wb");
    if (!out) return complain("cannot write the predictions");
    int failed = predict_all(rows, out);
    return fclose(out) || failed ? 2 : 0;
}
