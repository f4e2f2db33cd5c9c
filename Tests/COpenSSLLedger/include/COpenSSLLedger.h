#ifndef GATEHOUSE_COPENSSLLEDGER_H
#define GATEHOUSE_COPENSSLLEDGER_H

// What OpenSSL allocates on each thread, counted from the process's start on by functions put under it.

// Whether OpenSSL took the functions.
int COpenSSLLedger_isInstalled(void);

// Bytes that this thread has allocated less those it has given back; a block counts 16 more than was asked for.
long COpenSSLLedger_byteCount(void);

// How often this thread has allocated.
long COpenSSLLedger_allocationCount(void);

#endif
