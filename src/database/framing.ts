/**
 * A guard between the socket and pg's parser, for servers that only claim to be PostgreSQL.
 *
 * Who may write a workload chooses the host that we dial. pg-protocol 1.x goes round for ever in an ErrorResponse or
 * NoticeResponse that lacks its end mark, which freezes the whole process, and throws out of a data listener on other
 * malformed messages, which ends it. Neither may happen to a webhook that the cluster waits for.
 */
import type { Socket } from 'node:net';
import type { Client } from 'pg';

/** What the socket is destroyed with. */
export const notPostgres = 'the server did not answer as PostgreSQL does';

interface Stream {
  on(event: string, listener: (chunk: Buffer) => void): unknown;
}

/** Lets pg see only well-framed messages; the first other one destroys the socket. Call before `connect`. */
export function distrust(client: Client, socket: Socket): void {
  // pg has no public place for this; a release that renames it fails here and in every test, not in silence.
  const { connection } = client as unknown as { connection: { attachListeners(stream: Stream): void } };
  const attach = connection.attachListeners.bind(connection);
  connection.attachListeners = (stream) => {
    const isSound = framing();
    attach({
      on: (event, listener) => {
        if (event !== 'data') return stream.on(event, listener);
        return stream.on(event, (chunk) => {
          if (socket.destroyed) return;
          try {
            if (!isSound(chunk)) throw new Error(notPostgres);
            listener(chunk);
          } catch (error) {
            socket.destroy(new Error(notPostgres, { cause: error }));
          }
        });
      },
    });
  };
}

const errorResponse = 0x45;
const noticeResponse = 0x4e;

/** Follows the messages (type, length, body) over chunks; false once one is malformed. */
function framing(): (chunk: Buffer) => boolean {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    while (at + 5 <= rest.length) {
      const end = at + 1 + rest.readUInt32BE(at + 1);
      if (end < at + 5) return false;
      if (end > rest.length) break;
      if (hasFields(rest[at]) && !isEnded(rest, at, end)) return false;
      at = end;
    }
    rest = rest.subarray(at);
    return true;
  };
}

function hasFields(type: number | undefined): boolean {
  return type === errorResponse || type === noticeResponse;
}

/** Fields end in a zero each and the list in one more: with both there the parser must stop. */
function isEnded(bytes: Buffer, start: number, end: number): boolean {
  return end - start >= 7 && bytes[end - 1] === 0 && bytes[end - 2] === 0;
}
