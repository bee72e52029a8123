/** A FIFO as a spy: whoever opens it to read is seen. */
import { closeSync, constants, openSync } from 'node:fs';

/** Whether somebody waits to read it: then opening it for writing does not fail. */
export function isOpened(path: string): boolean {
  try {
    closeSync(openSync(path, constants.O_WRONLY | constants.O_NONBLOCK));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENXIO') return false;
    throw error;
  }
}
