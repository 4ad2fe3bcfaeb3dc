/* child COMMAND...: executes the command, which ends with the process that started it. */
#include "common.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

int main(int count, char **arguments) {
  if (count < 2)
    die("usage: child COMMAND...");
  die_with_parent();
  execvp(arguments[1], arguments + 1);
  die("%s: %s", arguments[1], strerror(errno));
}
