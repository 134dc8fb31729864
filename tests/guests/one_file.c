/* Writes one file that never ends. */

#include <fcntl.h>
#include <unistd.h>

static char block[1 << 16];

int main(void) {
    int file = open("/iexec_out/huge", O_WRONLY | O_CREAT, 0644);
    while (write(file, block, sizeof block) > 0) {
    }
    return 9;
}
