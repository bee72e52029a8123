/** Long readings, few at a time, and one for all who ask for the same at the same moment. */

/**
 * `read`, at most `atOnce` readings at a time. Whoever asks while the same key is being read, or waits, shares the next
 * reading of it: never one that began before it asked, since what was written in between would be missing from it.
 */
export function sharing<T>(read: (key: string) => Promise<T>, atOnce: number): (key: string) => Promise<T> {
  const waiting = new Map<string, PromiseWithResolvers<T>>();
  const running = new Set<string>();
  const begin = () => {
    for (const [key, { resolve, reject }] of waiting) {
      if (running.size >= atOnce) return;
      if (running.has(key)) continue;
      waiting.delete(key);
      running.add(key);
      read(key)
        .then(resolve, reject)
        .finally(() => {
          running.delete(key);
          begin();
        });
    }
  };
  return (key) => {
    const asked = waiting.get(key) ?? Promise.withResolvers<T>();
    waiting.set(key, asked);
    begin();
    return asked.promise;
  };
}
