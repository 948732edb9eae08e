/* Whether this machine has a network at all. */
#ifndef DELIVERY_NETWORK_H
#define DELIVERY_NETWORK_H

#include <stdbool.h>

/* There is a way out, as far as the kernel's routes tell; nothing is sent. */
bool network_is_there(void);

#endif
