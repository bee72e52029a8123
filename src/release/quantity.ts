/** Sizes as Kubernetes writes them. */

const factors: Record<string, number> = {
  '': 1,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** "10Gi", "1e9", 5 → bytes, whole ones; undefined for what is no quantity. */
export function quantity(value: unknown): number | undefined {
  if (typeof value !== 'string' && typeof value !== 'number') return undefined;
  const [, number, unit = ''] = /^([0-9.]+(?:[eE][-+]?[0-9]+)?)([A-Za-z]*)$/.exec(String(value)) ?? [];
  const factor = Object.hasOwn(factors, unit) ? factors[unit] : undefined;
  const bytes = Math.ceil(Number(number) * (factor ?? Number.NaN));
  return Number.isFinite(bytes) ? bytes : undefined;
}
