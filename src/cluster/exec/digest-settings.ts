/** A container is asked for keyed digests of its settings (src/inside/downdraft/digests.py), by one exec. */
import { digestsIn } from '../../release/model/messages.ts';
import type { Digests } from '../../release/model/runner.ts';
import type { Client } from '../client/client.ts';
import { askProgram, short } from './ask-pod.ts';

const mark = 'DOWNDRAFT-DIGESTS ';

/**
 * Asks one container, within timeoutMs. `program` is its argv with the text last, which holds the key: it goes by stdin, so
 * that no audit log has it. Never throws for what the world does.
 */
export async function digestSettings(
  client: Client,
  namespace: string,
  pod: string,
  container: string,
  timeoutMs: number,
  program: string[],
): Promise<{ told: Digests } | { fault: string }> {
  const asked = await askProgram(client, { namespace, pod, container }, timeoutMs, program, mark);
  if ('silent' in asked) return { fault: short(asked.silent) };
  const read = digestsIn(asked.line);
  return 'fault' in read ? { fault: short(read.fault) } : { told: read.told.digests };
}
