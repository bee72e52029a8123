/** How often reviews may make us ask others, whoever sends them. */

/**
 * One act at a time for each key. Who comes meanwhile shares the next one, which begins after they came: what they get is
 * never older than their question.
 */
export function sharing<T>(): (key: string, act: () => Promise<T>) => Promise<T> {
  const underWay = new Map<string, { ended: Promise<unknown>; next?: Promise<T> }>();
  function begin(key: string, act: () => Promise<T>): Promise<T> {
    const acting = act();
    const lane: { ended: Promise<unknown>; next?: Promise<T> } = { ended: acting.catch(() => undefined) };
    underWay.set(key, lane);
    void lane.ended.then(() => {
      if (!lane.next) underWay.delete(key);
    });
    return acting;
  }
  return (key, act) => {
    const lane = underWay.get(key);
    if (!lane) return begin(key, act);
    lane.next ??= lane.ended.then(() => begin(key, act));
    return lane.next;
  };
}

/** Whether it may be done once more: at most so many times in a second. */
export function atMost(perSecond: number, now: () => number = () => performance.now()): () => boolean {
  let [left, since] = [perSecond, now()];
  return () => {
    if (now() - since >= 1000) [left, since] = [perSecond, now()];
    return left-- > 0;
  };
}
