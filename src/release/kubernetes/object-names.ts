/** Names of objects, made of names that a chart or a person chose and that need only be label values. */
import { hash } from 'node:crypto';

/** What an object may be called (RFC 1123). */
const plain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/** How derived names end; a chosen one that ends so is derived as well, and so no two are the same. */
const derived = /(^|-)x[0-9a-f]{8}$/;

const digits = 8;

/**
 * The part of an object's name that stands for `text`: the text itself where an object may be called so, else what is
 * left of it and a hash (`My_Airflow` is `my-airflow-x1c5b1a60`). Also a label's value, up to 63 characters.
 */
export function partOfName(text: string, longest: number): string {
  if (text.length <= longest && plain.test(text) && !derived.test(text)) return text;
  const suffix = `x${hash('sha256', text, 'hex').slice(0, digits)}`;
  const left = text.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');
  const readable = left.slice(0, longest - suffix.length - 1).replaceAll(/^-+|-+$/g, '');
  return readable === '' ? suffix : `${readable}-${suffix}`;
}
