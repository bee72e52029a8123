/** The texts of an object, found by walking it, and copies of it in which one of them is another. */

type Path = (string | number)[];

/** Marks a step into a text that is JSON. */
const inside = '(JSON)';

/** Where a text stands in an object; a text that is itself JSON (an annotation) is walked, too. */
export function leavesOf(value: unknown, at: Path = []): Path[] {
  if (typeof value === 'string') return [at, ...leavesOf(parsed(value), [...at, inside])];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    leavesOf(inner, [...at, Array.isArray(value) ? Number(key) : key]),
  );
}

function parsed(text: string): unknown {
  if (!text.startsWith('{')) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The object with another text in one place. */
export function withLeaf<T>(value: T, [key, ...rest]: Path, text: string): T {
  if (key === undefined) return text as T;
  if (key === inside) return JSON.stringify(withLeaf(parsed(value as string), rest, text)) as T;
  const copy = structuredClone(value) as Record<string | number, unknown>;
  copy[key] = withLeaf(copy[key], rest, text);
  return copy as T;
}
