/** Output of unknown length, kept up to a bound. */

export interface BoundedText {
  add(bytes: Uint8Array): void;
  cut(): boolean;
  text(): string;
}

/** Keeps the first `limit` bytes; text() then ends with a line that says how many there were. */
export function boundedText(limit: number): BoundedText {
  const chunks: Uint8Array[] = [];
  let kept = 0;
  let total = 0;
  return {
    add(bytes) {
      const room = bytes.subarray(0, limit - kept);
      if (room.length > 0) chunks.push(room);
      kept += room.length;
      total += bytes.length;
    },
    cut: () => total > kept,
    text() {
      const text = Buffer.concat(chunks).toString('utf8');
      return total > kept ? `${text}\n[cut: ${kept} of ${total} bytes]\n` : text;
    },
  };
}
