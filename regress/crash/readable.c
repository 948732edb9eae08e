/* Preloaded into the daemon: its processes stay readable to strace run by the
 * same user, who else could not see what their descriptors name. */
#include <dlfcn.h>
#include <stdarg.h>
#include <sys/prctl.h>

int
prctl(int option, ...)
{
	int (*real)(int, ...) = (int (*)(int, ...))dlsym(RTLD_NEXT, "prctl");
	unsigned long a[4];
	va_list ap;
	int i;

	va_start(ap, option);
	for (i = 0; i < 4; i++)
		a[i] = va_arg(ap, unsigned long);
	va_end(ap);
	if (option == PR_SET_DUMPABLE)
		return 0;
	return real(option, a[0], a[1], a[2], a[3]);
}
