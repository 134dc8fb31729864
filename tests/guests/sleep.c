/* Sleeps for a number of seconds, again and again: sleep SECONDS TIMES */

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv) {
    int seconds = argc > 1 ? atoi(argv[1]) : 3600, times = argc > 2 ? atoi(argv[2]) : 1000000;
    time_t before = time(NULL);
    for (int i = 0; i < times; i++) sleep((unsigned)seconds);
    printf("%lld\n", (long long)(time(NULL) - before));
    return 0;
}
