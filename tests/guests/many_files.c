/* Makes files without end, each of a given size: many_files BYTES [folders] */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char block[1 << 16];

int main(int argc, char **argv) {
    size_t size = argc > 1 ? (size_t)atol(argv[1]) : 0;
    for (int i = 0;; i++) {
        char name[64];
        snprintf(name, sizeof name, "/iexec_out/%d", i);
        if (argc > 2) {
            if (mkdir(name, 0755)) return 9;
            continue;
        }
        int file = open(name, O_WRONLY | O_CREAT | O_EXCL, 0644);
        if (file < 0 || write(file, block, size) != (ssize_t)size || close(file)) return 9;
    }
}
