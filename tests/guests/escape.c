/* Tries every way out of its folders; prints one line for each with the errno it met, and exits with the number that led out. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int escaped;

static void note(const char *what, long result) {
    printf("%s %s\n", what, result < 0 ? strerror(errno) : "WORKED");
    escaped += result >= 0;
}

int main(void) {
    int in = open("/iexec_in", O_RDONLY | O_DIRECTORY), out = open("/iexec_out", O_RDONLY | O_DIRECTORY);
    if (in < 0 || out < 0) return 99;
    note("absolute", open("/etc/passwd", O_RDONLY));
    note("dotdot", open("/iexec_out/../../../../etc/passwd", O_RDONLY));
    note("dotdot-at", openat(out, "../etc/passwd", O_RDONLY));
    note("dotdot-inside", openat(out, "a/../../etc/passwd", O_RDONLY));
    note("absolute-at", openat(out, "/etc/passwd", O_RDONLY));
    note("sibling", openat(out, "../iexec_in/given.txt", O_RDONLY));
    note("symlink", symlink("/etc/passwd", "/iexec_out/link"));
    note("symlink-relative", symlink("../../etc/passwd", "/iexec_out/link2"));
    note("hard-link", link("/iexec_in/given.txt", "/iexec_out/given.txt"));
    note("write-input", open("/iexec_in/given.txt", O_WRONLY));
    note("truncate-input", open("/iexec_in/given.txt", O_RDONLY | O_TRUNC));
    note("create-input", open("/iexec_in/new.txt", O_WRONLY | O_CREAT, 0644));
    note("remove-input", unlink("/iexec_in/given.txt"));
    note("rename-out", rename("/iexec_in/given.txt", "/iexec_out/stolen.txt"));
    note("mkdir-above", mkdirat(out, "../made", 0755));
    note("proc", open("/proc/self/environ", O_RDONLY));
    note("device", open("/dev/zero", O_RDONLY));
    note("planted-link", open("/iexec_in/planted", O_RDONLY));
    note("accept", accept(in, NULL, NULL));
    return escaped;
}
