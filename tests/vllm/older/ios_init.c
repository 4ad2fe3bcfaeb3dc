/* What a library built with GCC 13 asks of libstdc++ at its start; an older one does it itself. */
void _ZSt21ios_base_library_initv(void) {}
