/* Does everything a well-behaved program does with files, and checks what it gets; exits with the line number of the first surprise. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OUT "/iexec_out/"
#define CHECK(claim) \
    if (!(claim)) return fprintf(stderr, "line %d: %s (%s)\n", __LINE__, #claim, strerror(errno)), __LINE__

static char buffer[4096];

static int listing(const char *path, char *names, size_t size) {
    DIR *folder = opendir(path);
    if (!folder) return -1;
    int count = 0;
    names[0] = 0;
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        count++;
        strncat(names, entry->d_name, size - strlen(names) - 1);
        strncat(names, " ", size - strlen(names) - 1);
    }
    closedir(folder);
    return count;
}

static int reading_and_writing(void) {
    struct stat status;
    int file = open(OUT "a.txt", O_RDWR | O_CREAT | O_EXCL, 0644);
    CHECK(file > 2);
    CHECK(write(file, "hello world", 11) == 11);
    CHECK(lseek(file, 6, SEEK_SET) == 6 && read(file, buffer, 100) == 5 && !memcmp(buffer, "world", 5));
    CHECK(read(file, buffer, 100) == 0);
    CHECK(lseek(file, -5, SEEK_END) == 6 && lseek(file, -1, SEEK_CUR) == 5 && lseek(file, -6, SEEK_CUR) < 0 && errno == EINVAL);
    CHECK(pwrite(file, "HE", 2, 0) == 2 && pread(file, buffer, 5, 0) == 5 && !memcmp(buffer, "HEllo", 5));
    CHECK(!ftruncate(file, 5) && !fstat(file, &status) && status.st_size == 5 && S_ISREG(status.st_mode));
    CHECK(!ftruncate(file, 8) && pread(file, buffer, 10, 0) == 8 && !memcmp(buffer, "HEllo\0\0\0", 8));
    CHECK(!close(file) && close(file) < 0 && errno == EBADF);
    CHECK(open(OUT "a.txt", O_RDWR | O_CREAT | O_EXCL, 0644) < 0 && errno == EEXIST);
    file = open(OUT "a.txt", O_WRONLY | O_APPEND);
    CHECK(file > 2 && lseek(file, 0, SEEK_SET) == 0 && write(file, "!", 1) == 1 && read(file, buffer, 1) < 0 && errno == EBADF);
    CHECK(!close(file) && !stat(OUT "a.txt", &status) && status.st_size == 9);
    file = open(OUT "a.txt", O_RDWR | O_TRUNC);
    CHECK(file > 2 && !fstat(file, &status) && status.st_size == 0 && !close(file));
    return 0;
}

static int names_and_folders(void) {
    struct stat status;
    CHECK(!mkdir(OUT "d", 0755) && mkdir(OUT "d", 0755) < 0 && errno == EEXIST);
    CHECK(!mkdir(OUT "d/e/", 0755) && !stat(OUT "d/./e/../e", &status) && S_ISDIR(status.st_mode));
    CHECK(mkdir(OUT "missing/f", 0755) < 0 && errno == ENOENT);
    CHECK(mkdir(OUT "a.txt/f", 0755) < 0 && errno == ENOTDIR);
    CHECK(!rename(OUT "a.txt", OUT "d/b.txt") && stat(OUT "a.txt", &status) < 0 && errno == ENOENT);
    CHECK(rename(OUT "d", OUT "d/e/d") < 0 && errno == EINVAL);
    CHECK(rmdir(OUT "d") < 0 && errno == ENOTEMPTY);
    CHECK(unlink(OUT "d") < 0 && errno == EISDIR);
    CHECK(rmdir(OUT "d/b.txt") < 0 && errno == ENOTDIR);
    CHECK(open(OUT "d", O_WRONLY) < 0 && errno == EISDIR);
    CHECK(open(OUT "d/b.txt", O_RDONLY | O_DIRECTORY) < 0 && errno == ENOTDIR);
    CHECK(listing(OUT "d", buffer, sizeof buffer) == 2 && !strcmp(buffer, "b.txt e "));
    CHECK(!rmdir(OUT "d/e") && !rename(OUT "d", OUT "g") && listing(OUT, buffer, sizeof buffer) == 1 && !strcmp(buffer, "g "));
    return 0;
}

static int gone_but_open(void) {
    int file = open(OUT "temporary", O_RDWR | O_CREAT, 0644);
    CHECK(file > 2 && write(file, "kept", 4) == 4 && !unlink(OUT "temporary"));
    CHECK(pread(file, buffer, 10, 0) == 4 && write(file, "!", 1) == 1 && !close(file));
    CHECK(open(OUT "temporary", O_RDONLY) < 0 && errno == ENOENT);
    int left = open(OUT "left", O_RDWR | O_CREAT, 0644), right = open(OUT "right", O_RDWR | O_CREAT, 0644);
    CHECK(write(left, "left", 4) == 4 && write(right, "right", 5) == 5 && !rename(OUT "left", OUT "right"));
    CHECK(pread(right, buffer, 10, 0) == 5 && !close(left) && !close(right));
    FILE *file_now = fopen(OUT "right", "rb");
    CHECK(file_now && fread(buffer, 1, 10, file_now) == 4 && !memcmp(buffer, "left", 4) && !fclose(file_now));
    return 0;
}

static int many_names(void) {
    static char names[65536];
    char name[64];
    CHECK(!mkdir(OUT "many", 0755));
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, OUT "many/a-rather-long-name-for-a-file-%03d", i);
        int file = open(name, O_WRONLY | O_CREAT, 0644);
        CHECK(file > 2 && !close(file));
    }
    CHECK(listing(OUT "many", names, sizeof names) == 300);
    CHECK(strlen(names) == 300 * 34 && !strncmp(names, "a-rather-long-name-for-a-file-000 ", 34));
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, OUT "many/a-rather-long-name-for-a-file-%03d", i);
        CHECK(!unlink(name));
    }
    CHECK(!rmdir(OUT "many"));
    return 0;
}

static int inputs(void) {
    FILE *file = fopen("/iexec_in/folder/given.txt", "rb");
    CHECK(file && fread(buffer, 1, 100, file) == 5 && !memcmp(buffer, "given", 5) && !fclose(file));
    CHECK(listing("/iexec_in", buffer, sizeof buffer) == 2 && !strcmp(buffer, "folder zero "));
    CHECK(read(0, buffer, 10) == 0 && !isatty(1));
    return 0;
}

int main(void) {
    int (*parts[])(void) = {reading_and_writing, names_and_folders, gone_but_open, many_names, inputs};
    for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++) {
        int line = parts[i]();
        if (line) return line > 255 ? 255 : line;
    }
    puts("all as expected");
    return 0;
}
