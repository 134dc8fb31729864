/* Makes a file that is large without holding anything. */

#include <fcntl.h>
#include <unistd.h>

int main(void) {
    int file = open("/iexec_out/sparse", O_WRONLY | O_CREAT, 0644);
    if (lseek(file, 1ll << 40, SEEK_SET) < 0 || write(file, "x", 1) != 1) return 9;
    return 8;
}
