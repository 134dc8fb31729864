/* Writes down everything that differs between runs on an ordinary machine: time, random numbers, order and times of files. */

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

extern char **environ;

int main(int argc, char **argv) {
    FILE *file = fopen("/iexec_out/fortune.txt", "w");
    unsigned char random[16];
    struct timespec now;
    struct stat status;
    if (!file || getentropy(random, sizeof random)) return 1;
    for (unsigned i = 0; i < sizeof random; i++) fprintf(file, "%02x", random[i]);
    for (int i = 0; i < 3; i++) {
        clock_gettime(i % 2 ? CLOCK_MONOTONIC : CLOCK_REALTIME, &now);
        fprintf(file, "\n%lld.%09ld", (long long)now.tv_sec, now.tv_nsec);
    }
    for (int i = 0; i < argc; i++) fprintf(file, "\n%s", argv[i]);
    for (char **variable = environ; *variable; variable++) fprintf(file, "\n%s", *variable);
    DIR *folder = opendir("/iexec_in");
    for (struct dirent *entry; (entry = readdir(folder));) {
        char path[512];
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "/iexec_in/%s", entry->d_name);
        if (stat(path, &status)) return 2;
        fprintf(file, "\n%s %llu %lld %lld", entry->d_name, (unsigned long long)status.st_ino, (long long)status.st_size, (long long)status.st_mtime);
    }
    fflush(file);
    stat("/iexec_out/fortune.txt", &status);
    fprintf(file, "\n%lld.%09ld\n", (long long)status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
    return fclose(file);
}
