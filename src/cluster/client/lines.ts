/** Bytes → lines, as they come. */
import type { Readable } from 'node:stream';

/** Yields each line that ends; `onBytes` is told whenever anything comes. Throws what the stream throws when it is cut. */
export async function* lines(stream: Readable, onBytes: () => void = () => {}): AsyncGenerator<string> {
  stream.setEncoding('utf8');
  // Pieces of an unfinished line, joined once: an object of 1 MB comes in many chunks.
  let pieces: string[] = [];
  for await (const chunk of stream as AsyncIterable<string>) {
    onBytes();
    const parts = chunk.split('\n');
    for (const part of parts.slice(0, -1)) {
      const line = [...pieces, part].join('');
      pieces = [];
      if (line) yield line;
    }
    pieces.push(parts.at(-1) ?? '');
  }
}
