#include <openssl/crypto.h>

// OpenSSL takes itself down at exit, when other threads may still be in the middle of a handshake, or about to give back what
// it keeps for each thread. It leaves that be when the process's first call of it says so, hence a call before main.
__attribute__((constructor)) static void stayAtExit(void) { OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL); }
