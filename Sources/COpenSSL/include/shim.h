#ifndef GATEHOUSE_COPENSSL_SHIM_H
#define GATEHOUSE_COPENSSL_SHIM_H

// The low-level SHA-256 calls are deprecated in favour of ones that allocate a context for every digest.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <string.h>

// One-shot SHA-256: writes 32 bytes and answers 1, or answers 0.
static inline int COpenSSL_sha256(const void *bytes, size_t byteCount, unsigned char *digest) {
    unsigned int digestCount = 0;
    return EVP_Digest(bytes, byteCount, digest, &digestCount, EVP_sha256(), NULL) == 1 && digestCount == 32;
}

// SHA-256 without an allocation, which the one-shot form above makes: writes 32 bytes.
static inline void COpenSSL_sha256_plain(const void *bytes, size_t byteCount, unsigned char *digest) {
    SHA256_CTX context;
    SHA256_Init(&context);
    SHA256_Update(&context, bytes, byteCount);
    SHA256_Final(digest, &context);
}

// HMAC-SHA-256 (RFC 2104) with its key already taken in: a digest costs no allocation and no pass over the key.
typedef struct {
    SHA256_CTX inner;
    SHA256_CTX outer;
} COpenSSL_hmac;

// Takes in a key of at most 64 bytes.
static inline void COpenSSL_hmac_prepare(COpenSSL_hmac *state, const void *key, size_t keyByteCount) {
    unsigned char block[SHA256_CBLOCK];
    size_t index;
    memset(block, 0x36, sizeof block);
    for (index = 0; index < keyByteCount; index++) block[index] ^= ((const unsigned char *)key)[index];
    SHA256_Init(&state->inner);
    SHA256_Update(&state->inner, block, sizeof block);
    for (index = 0; index < sizeof block; index++) block[index] ^= 0x36 ^ 0x5C;
    SHA256_Init(&state->outer);
    SHA256_Update(&state->outer, block, sizeof block);
    OPENSSL_cleanse(block, sizeof block);
}

// Writes the 32 bytes of the digest.
static inline void COpenSSL_hmac_digest(
    const COpenSSL_hmac *state, const void *bytes, size_t byteCount, unsigned char *digest) {
    unsigned char within[SHA256_DIGEST_LENGTH];
    SHA256_CTX context = state->inner;
    SHA256_Update(&context, bytes, byteCount);
    SHA256_Final(within, &context);
    context = state->outer;
    SHA256_Update(&context, within, sizeof within);
    SHA256_Final(digest, &context);
}

#endif
