#ifndef GATEHOUSE_CHIREDIS_SHIM_H
#define GATEHOUSE_CHIREDIS_SHIM_H

// The reader and the formatter alone: connections are the house's own.
#include <hiredis/hiredis.h>

#endif
