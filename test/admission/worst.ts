/** The worst bodies that callers without credentials can send. */
import { makeRecord } from '../make/helmrelease.ts';
import { makeReview } from '../make/review.ts';
import { makeDeployment } from '../make/workload.ts';

const most = 6.9 * 1024 * 1024;

/** A list of as many as there is room for. */
function list(item: (at: number) => string, bytes = most): string {
  const items: string[] = [];
  for (let length = 2; length < bytes; length += items.at(-1)!.length + 1) items.push(item(items.length));
  return `[${items.join(',')}]`;
}

/** Of a change to an older image. */
export const review = () =>
  makeReview({ object: makeDeployment({ image: 'apache/airflow:3.1.8' }), oldObject: makeDeployment() });

/** A review that is read, with so many bytes of something that is not. */
const filled = (filling: string) => JSON.stringify(review()).replace('"object":', `"more":${filling},"object":`);

const yaml = (of: string) => `---\napiVersion: apps/v1\nkind: Deployment\n# airflow\n${of}\n`;
const record = (of: string) => {
  const manifest = yaml(of).repeat(Math.ceil((384 * 1024) / yaml(of).length));
  return JSON.stringify(makeReview({ object: makeRecord({ manifest }) as never, operation: 'CREATE' }));
};

/** What they send, by its name: where to, and how it is made. */
export const bodies: Record<string, [path: string, body: () => string]> = {
  'empty objects': ['/mutate', () => list(() => '{}')],
  'lists in lists': ['/mutate', () => '['.repeat(most)],
  'objects with keys of their own': ['/mutate', () => list((at) => `{"${at.toString(36)}":1}`)],
  'as many objects as a review may have': [
    '/mutate',
    () => filled(list((at) => `{"${at.toString(36)}":1}`, 66_000 * 9)),
  ],
  'as many texts as a review may have': ['/mutate', () => filled(list(() => `"${'\\u0101x'.repeat(5)}"`, most))],
  'one long text': ['/mutate', () => filled(`"\u0101${'x'.repeat(most)}"`)],
  'many objects in small bodies': ['/mutate', () => filled(list((at) => `{"${at.toString(36)}":1}`, 60_000))],
  'a record of lists': ['/record', () => record(`a: [${'a,'.repeat(30_000)}b]`)],
  'a record of questions': ['/record', () => record(`a:\n  ${'? '.repeat(3_000)}`)],
};
