#ifndef GATEHOUSE_COPENSSL_SHIM_H
#define GATEHOUSE_COPENSSL_SHIM_H

#include <openssl/evp.h>

// One-shot SHA-256: writes 32 bytes and answers 1, or answers 0.
static inline int COpenSSL_sha256(const void *bytes, size_t byteCount, unsigned char *digest) {
    unsigned int digestCount = 0;
    return EVP_Digest(bytes, byteCount, digest, &digestCount, EVP_sha256(), NULL) == 1 && digestCount == 32;
}

#endif
