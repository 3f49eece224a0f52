/* What Wine 8 lacks and Rust's standard library needs: random bytes. It stands beside the commands
   that the tests run, and in nothing that is handed out. */
#include <windows.h>
#include <ntsecapi.h>

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T length)
{
	return RtlGenRandom(data, (ULONG)length);
}
