/** What is left unread changes nothing of what is read, whatever the body. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { withoutUnread } from '../../src/admission/intake/body.ts';

const readText = (body: Buffer) => withoutUnread(body).toString();
const copyKey = 'kubectl.kubernetes.io/last-applied-configuration';

/** What should be read: managed fields as [], the copy as "". */
function unread(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(unread);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, field]) => {
      if (key === 'managedFields' && Array.isArray(field)) return [key, []];
      return key === copyKey && typeof field === 'string' ? [key, ''] : [key, unread(field)];
    }),
  );
}

const key = fc.oneof(
  fc.constantFrom('managedFields', copyKey, 'x"managedFields', `\\${copyKey}`, 'annotations', '[', '}'),
  fc.string({ unit: 'binary' }).filter((name) => name !== '__proto__'),
);
const { body } = fc.letrec((tie) => ({
  body: fc.oneof(
    { depthSize: 'small' },
    fc.string({ unit: 'binary' }),
    fc.constantFrom('"managedFields":[', `"${copyKey}":"`, '\\', '\\"', null, 1.5, true),
    tie('list'),
    tie('map'),
  ),
  list: fc.array(tie('body'), { maxLength: 4 }),
  map: fc.dictionary(key, tie('body'), { maxKeys: 4 }),
}));

describe('the text of a body', () => {
  it('says what the body says, but for managed fields and the copy of kubectl apply', () => {
    void fc.assert(
      fc.property(body, (value) => {
        const text = readText(Buffer.from(JSON.stringify(value)));
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(unread(value))));
      }),
      { numRuns: 20_000 },
    );
  });

  it('is all of it when it is not in the compact form', () => {
    const spaced = JSON.stringify({ metadata: { managedFields: [{ manager: 'helm' }] } }, undefined, 1);
    expect(readText(Buffer.from(spaced))).toBe(spaced);
  });

  it.each(['{"managedFields":[{', `{"${copyKey}":"never ends\\`, '{"managedFields":["]'])(
    'ends with a body cut short: %s',
    (cut) => {
      expect(() => JSON.parse(readText(Buffer.from(cut)))).toThrow(SyntaxError);
    },
  );
});
