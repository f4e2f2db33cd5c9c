// Preloaded into a program, it says at the very end, in the file that AT_EXIT_FILE names, whether OpenSSL is still whole.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

__attribute__((destructor)) static void tell(void) {
    int (*init)(uint64_t, const void *) = (int (*)(uint64_t, const void *))dlsym(RTLD_DEFAULT, "OPENSSL_init_crypto");
    FILE *file = fopen(getenv("AT_EXIT_FILE"), "w");
    if (init == NULL || file == NULL) return;
    fputs(init(0, NULL) == 1 ? "whole" : "down", file);
    fclose(file);
}
