/* Prints to both streams and exits with a code: exit_code CODE */

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    puts("to standard output");
    fputs("to standard error\n", stderr);
    return argc > 1 ? atoi(argv[1]) : 3;
}
