#ifndef GATEHOUSE_CZLIB_SHIM_H
#define GATEHOUSE_CZLIB_SHIM_H

#include <zlib.h>

// deflateInit2 is a macro that passes the header's version and the stream's size; Swift imports functions only.
static inline int CZlib_deflateInit2(z_stream *stream, int level, int windowBits, int memoryLevel) {
    return deflateInit2(stream, level, Z_DEFLATED, windowBits, memoryLevel, Z_DEFAULT_STRATEGY);
}

static inline int CZlib_inflateInit2(z_stream *stream, int windowBits) { return inflateInit2(stream, windowBits); }

#endif
