/** What `kubectl describe` and `kubectl events` show. Pure. */
import { randomBytes } from 'node:crypto';

export interface EventWords {
  object: { apiVersion: string; kind: string; namespace: string; name: string; uid?: string };
  type: 'Normal' | 'Warning';
  reason: string;
  message: string;
}

/** The API's own limits: note in bytes, reason, action and reportingInstance in characters; longer is refused. */
const noteBytes = 1024;

const wordLength = 128;

/** An events.k8s.io/v1 Event; `instance` is the replica that says it. A note that is too long is cut. */
export function eventOf({ object, type, reason, message }: EventWords, instance: string, at: Date) {
  return {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: {
      name: `${object.name.slice(0, 200).replace(/[-.]+$/, '')}.${randomBytes(8).toString('hex')}`,
      namespace: object.namespace,
    },
    eventTime: at.toISOString().replace('Z', '000Z'),
    reportingController: 'downdraft.dev/controller',
    reportingInstance: instance.slice(0, wordLength),
    action: reason.slice(0, wordLength),
    reason: reason.slice(0, wordLength),
    regarding: object,
    note: cut(message),
    type,
  };
}

function cut(message: string): string {
  if (Buffer.byteLength(message) < noteBytes) return message;
  // A character cut in two at the end decodes to U+FFFD.
  return `${Buffer.from(message)
    .subarray(0, noteBytes - 8)
    .toString('utf8')
    .replace(/\uFFFD+$/, '')}…`;
}
